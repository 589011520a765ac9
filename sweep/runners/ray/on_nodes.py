"""Run a function on a given node of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node that is alive.

    Args:
        id: Ray's.
        name: its address, and the beginning of its id, since one machine may run several nodes.
        has: its resources, in words.
    """

    id: str
    name: str
    has: str


def nodes() -> list[Node]:
    """Return the nodes that are alive, in a stable order."""
    living = [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerAddress']}/{node['NodeID'][:6]}",
            has=f"{node['Resources'].get('CPU', 0):g} CPU, {node['Resources'].get('GPU', 0):g} GPU",
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return sorted(living, key=lambda node: node.name)


@ray.remote(num_cpus=0, max_retries=1)
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def on_node(node: str, function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a function that runs on this node and on no other.

    Args:
        node: its id.
        function: called with `args`.

    Raises:
        TimeoutError: there is no result after a minute.
    """
    only_there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = _call.options(scheduling_strategy=only_there).remote(function, *args)
    try:
        return ray.get(task, timeout=PATIENCE_SECONDS)
    except GetTimeoutError:
        ray.cancel(task, force=True)
        raise TimeoutError(f"node {node} gave no result for {PATIENCE_SECONDS:g} s") from None
