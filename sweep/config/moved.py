"""Keys of earlier versions: the sentence that names the new place of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOVED = {
    "projector": "method",
    "objective.options": "method",
    "objective": "method",
    "encoder.options": "encoder",
    "data.options": "data",
    "probe.data.options": "probe.data",
    "criteria.first": "criteria.alpha.first",
    "criteria.last": "criteria.alpha.last",
    "train.joint_batch_norm": "method.joint_batch_norm",
}
"""Old place -> new place, of a table or of one key; the first that fits counts."""


def moved_keys(tree: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each key of a config that stands in an old place.

    Args:
        tree: nested tables of the config; its axes and points name fields, too.
    """
    sentences = []
    for key in _keys(tree):
        if new := new_place(key):
            sentences.append(f"{key} is now {new}.")
    return list(dict.fromkeys(sentences))


def new_place(key: str) -> str | None:
    """Return where a key of an earlier version stands now; None where it did not move."""
    for old, new in MOVED.items():
        if key == old:
            return new
        if key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return None


def _keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted keys of a config, with those that its axes and points name."""
    yield from _dotted(tree, "")
    space = tree.get("space")
    if not isinstance(space, Mapping):
        return
    points = space.get("points")
    for table in (space.get("axes"), *(points if isinstance(points, list | tuple) else ())):
        if isinstance(table, Mapping):
            yield from map(str, table)


def _dotted(tree: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{dotted}.")
        else:
            yield dotted
