"""Run a function on one certain node of the cluster."""

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
    """A node that lives.

    Args:
        id: Ray's.
        name: its address, and the beginning of its id, for several may share one machine.
        has: its resources, in words.
    """

    id: str
    name: str
    has: str


def nodes() -> list[Node]:
    """Return the nodes that live, in a stable order."""
    found = [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerAddress']}/{node['NodeID'][:6]}",
            has=f"{node['Resources'].get('CPU', 0):g} CPU, {node['Resources'].get('GPU', 0):g} GPU",
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return sorted(found, key=lambda node: node.name)


@ray.remote(num_cpus=0, max_retries=1)
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def on_node(node: str, function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function gives on that node, and nowhere else.

    Raises:
        TimeoutError: it gave nothing for a minute.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = _call.options(scheduling_strategy=there).remote(function, *args)
    try:
        return ray.get(task, timeout=PATIENCE_SECONDS)
    except GetTimeoutError:
        ray.cancel(task, force=True)
        raise TimeoutError(f"node {node} gave nothing for {PATIENCE_SECONDS:g} s") from None
