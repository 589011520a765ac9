"""Keys of earlier versions, and sentences that name their new places."""

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
"""Old place -> new place, of a table or a key; the first match is used."""


def moved_keys(tree: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each key of a config that is in an old place.

    Args:
        tree: nested tables of the config; names of axes and points are checked, too.
    """
    sentences = []
    for key in _keys(tree):
        if new := new_place(key):
            sentences.append(f"{key} is now {new}.")
    return list(dict.fromkeys(sentences))


def new_place(key: str) -> str | None:
    """Return the new place of a key of an earlier version, or None if it did not move."""
    for old, new in MOVED.items():
        if key == old:
            return new
        if key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return None


def _keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted keys of a config, and the fields that its axes and points name."""
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
