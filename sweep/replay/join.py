"""Join the slices of one table: studies or files whose configs differ in their candidates only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.core.errors import DataError
from sweep.replay.landscape import Landscape

MAY_DIFFER = {"name", "space", "budget", "resources"}
"""Fields of a study's config that change no candidate's results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A part of a table.

    Args:
        landscape: its candidates.
        about: where they come from; `config` is the study's, if it is known.
    """

    landscape: Landscape
    about: Mapping[str, Any]


def join(name: str, slices: Sequence[Slice]) -> Slice:
    """Return one table with the candidates of all slices, in their order.

    Args:
        name: of the table.
        slices: at least one. A single slice is returned as it is.

    Raises:
        DataError: two slices hold one candidate, or their configs differ in more than the
            candidates.
    """
    first = slices[0]
    if len(slices) == 1:
        return first
    owners: dict[str, str] = {}
    for part in slices:
        _check_config(first, part)
        for candidate in part.landscape.candidates:
            if (owner := owners.get(candidate.trial_id)) is not None:
                raise DataError(
                    f"{owner} and {part.landscape.name} both hold the candidate "
                    f"{candidate.trial_id}. Give slices without a common candidate."
                )
        owners |= {c.trial_id: part.landscape.name for c in part.landscape.candidates}
    candidates = tuple(c for part in slices for c in part.landscape.candidates)
    methods = {part.landscape.method for part in slices}
    method = methods.pop() if len(methods) == 1 else ""
    joined = Landscape(name=name, candidates=candidates, method=method)
    return Slice(landscape=joined, about=_about(name, slices))


def _check_config(first: Slice, other: Slice) -> None:
    """Raise `DataError` where two slices that name their config were not trained alike."""
    ours, theirs = first.about.get("config"), other.about.get("config")
    if ours is None or theirs is None:
        return
    keys = sorted((ours.keys() | theirs.keys()) - MAY_DIFFER)
    if differ := [key for key in keys if ours.get(key) != theirs.get(key)]:
        raise DataError(
            f"{first.landscape.name} and {other.landscape.name} are not slices of one table: "
            f"their configs differ in {', '.join(differ)}. Slices differ in their candidates only."
        )


def _about(name: str, slices: Sequence[Slice]) -> dict[str, Any]:
    """Return the first config with all slices' points, and the names of the slices."""
    about: dict[str, Any] = {"slices": [part.landscape.name for part in slices]}
    configs = [part.about.get("config") for part in slices]
    if configs[0] is not None:
        points = [
            point for config in configs if config for point in config["space"].get("points", ())
        ]
        about["config"] = {**configs[0], "name": name, "space": {"points": points}}
    return about
