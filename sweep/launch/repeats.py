"""The leaders of a study, trained again with fresh seeds: was the winner good, or lucky?

The repeats are a study of their own, NAME-repeats, in which everything is probed, with what is
left of the first one's budget; it is queried and resumed like any other. A leader's mean and
interval come from the fresh seeds alone, for it was picked by the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from scipy.stats import t as student

from sweep.config.models import BudgetConfig, RuleConfig, SpaceConfig, StudyConfig
from sweep.core.errors import StudyError
from sweep.core.records import Event
from sweep.log.study_folder import read_log
from sweep.storage.location import Location
from sweep.tables.results import Results

SUFFIX = "-repeats"


def plan(folder: Location, *, top: int, seeds: int) -> StudyConfig:
    """Return the study that trains the best `top` models of a study `seeds` times more.

    Args:
        folder: of a study in which something was probed.
        top: how many of its models, by validation accuracy.
        seeds: fresh ones for each.

    Raises:
        StudyError: nothing was probed, or nothing of the budget is left.
    """
    found = Results(folder)
    config = found.config
    trials = found.trials.select(["trial_id", "accuracy"]).to_pylist()
    probed = [row for row in trials if row["accuracy"] is not None]
    if not probed:
        raise StudyError(f"Nothing of {found.name} was probed, so it has no leader to repeat.")
    probed.sort(key=lambda row: -row["accuracy"])
    events = read_log(folder)
    points = {e.trial_id: dict(e.payload["point"]) for e in events if e.kind == "candidate"}
    leaders: list[dict[str, Any]] = []
    for row in probed:  # two seeds of one point are one leader
        point = {k: v for k, v in points[row["trial_id"]].items() if k != "seed"}
        if point not in leaders:
            leaders.append(point)
    used = {int(point.get("seed", config.seed)) for point in points.values()}
    fresh = [max(used) + 1 + number for number in range(seeds)]
    return config.model_copy(
        update={
            "name": f"{config.name}{SUFFIX}",
            "space": SpaceConfig(
                points=tuple({**point, "seed": seed} for seed in fresh for point in leaders[:top])
            ),
            "rule": RuleConfig(name="all"),
            "budget": left(config, events),
        }
    )


def left(config: StudyConfig, events: Sequence[Event]) -> BudgetConfig:
    """Return what a study left of its budget; `StudyError` if one limit is reached."""
    seen = [event.payload for event in events if event.kind == "observation"]
    device_seconds = sum(one["cost"]["device_seconds"] for one in seen)
    spent: dict[str, float] = {
        "probes": sum(one["stage"] == "probed" and one["fraction"] >= 1 for one in seen),
        "trials": sum(event.kind == "start" and event.attempt == 1 for event in events),
        "device_seconds": device_seconds,
        "wall_seconds": _wall_seconds(events),
        "money": device_seconds / 3600 * config.resources.price_per_device_hour,
    }
    rest: dict[str, Any] = {}
    for name, amount in spent.items():
        limit = getattr(config.budget, name)
        if limit is not None:
            if amount >= limit:
                raise StudyError(f"budget.{name} is spent: nothing is left for repeats.")
            rest[name] = limit - amount
    return BudgetConfig(**rest)


def _wall_seconds(events: Sequence[Event]) -> float:
    """Return the seconds from the start of each session to its last event, added up."""
    total, began, last = 0.0, None, 0.0
    for event in events:
        if event.kind == "session":
            total += last - began if began is not None else 0.0
            began = event.time
        last = event.time
    return total + (last - began if began is not None else 0.0)


def intervals(found: Results) -> pa.Table:
    """Return each leader's mean validation accuracy over the fresh seeds.

    Columns: the varied fields, seeds, mean, sd (over seeds), and lo, hi: Student's 95 %
    interval of the mean, null for one seed.
    """
    events = read_log(found.location)
    points = {e.trial_id: dict(e.payload["point"]) for e in events if e.kind == "candidate"}
    groups: dict[tuple[tuple[str, Any], ...], list[float]] = {}
    for row in found.trials.select(["trial_id", "accuracy"]).to_pylist():
        if row["accuracy"] is not None:
            point = points[row["trial_id"]]
            key = tuple((name, value) for name, value in point.items() if name != "seed")
            groups.setdefault(key, []).append(row["accuracy"])
    rows = [{**dict(key), **_summary(values)} for key, values in groups.items()]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: -row["mean"]))


def _summary(values: Sequence[float]) -> dict[str, Any]:
    count, mean = len(values), math.fsum(values) / len(values)
    row: dict[str, Any] = {"seeds": count, "mean": mean, "sd": None, "lo": None, "hi": None}
    if count > 1:
        sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
        half = float(student.ppf(0.975, count - 1)) * sd / math.sqrt(count)
        row |= {"sd": sd, "lo": mean - half, "hi": mean + half}
    return row
