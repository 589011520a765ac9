"""Trains the leaders of a study again with fresh seeds: was the winner good, or lucky?

The repeats are a separate study, NAME-repeats, in which every model is probed. Its budget is the
rest of the first study's budget. A leader's mean and interval come from the fresh seeds only,
because the leader was chosen by its result with the first seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from scipy.stats import sem, t

from sweep.config.models import BudgetConfig, RuleConfig, SpaceConfig
from sweep.config.study import StudyConfig
from sweep.core.errors import StudyError
from sweep.core.events import CandidateAdded, Event, Observed, SessionBegan, TrialStarted
from sweep.launch.past import past_of
from sweep.log.study_folder import read_log
from sweep.storage.location import Location
from sweep.tables.results import Results

SUFFIX = "-repeats"


def plan(folder: Location, *, top: int, seeds: int) -> StudyConfig:
    """Return the study that trains the best `top` models of a study `seeds` times more.

    Args:
        folder: of a study in which at least one model was probed.
        top: how many of its best models by `probe.metric` on validation are repeated.
        seeds: number of fresh seeds for each.

    Raises:
        StudyError: no model was probed, or nothing of the budget is left.
    """
    results = Results(folder)
    config = past_of(folder).config  # with the reading of its images
    metric = results.metric
    trials = results.trials.select(["trial_id", metric]).to_pylist()
    probed = [row for row in trials if row[metric] is not None]
    if not probed:
        raise StudyError(f"No model of {results.name} was probed: there is no leader to repeat.")
    probed.sort(key=lambda row: -row[metric])
    events = read_log(folder)
    points = _points(events)
    leaders: list[dict[str, Any]] = []
    for row in probed:  # two seeds of the same point are one leader
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
            "rule": RuleConfig(name="all"),  # it needs no look during training
            "criteria": config.criteria.model_copy(update={"at": ()}),
            "probe": config.probe.model_copy(update={"at": ()}),
            "budget": left(config, events),
        }
    )


def left(config: StudyConfig, events: Sequence[Event]) -> BudgetConfig:
    """Return the rest of a study's budget; raise `StudyError` if a limit is reached."""
    observations = [event.observation for event in events if isinstance(event, Observed)]
    started = [event for event in events if isinstance(event, TrialStarted)]
    device_seconds = sum(observation.cost.device_seconds for observation in observations)
    spent: dict[str, float] = {
        "probes": sum(o.stage == "probed" and o.final for o in observations),
        "trials": sum(event.attempt == 1 for event in started),
        "device_seconds": device_seconds,
        "wall_seconds": _wall_seconds(events),
        "money": device_seconds / 3600 * config.resources.price_per_device_hour,
    }
    rest: dict[str, Any] = {"labels": config.budget.labels}
    for name, amount in spent.items():
        limit = getattr(config.budget, name)
        if limit is not None:
            if amount >= limit:
                raise StudyError(f"budget.{name} is spent, so nothing is left for repeats.")
            rest[name] = limit - amount
    return BudgetConfig(**rest)


def _wall_seconds(events: Sequence[Event]) -> float:
    """Return the seconds from the start of each session to its last event, added up."""
    total, began, last = 0.0, None, 0.0
    for event in events:
        if isinstance(event, SessionBegan):
            total += last - began if began is not None else 0.0
            began = event.time
        last = event.time
    return total + (last - began if began is not None else 0.0)


def _points(events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    """Return trial_id -> varied fields of every candidate."""
    return {e.trial_id: dict(e.point) for e in events if isinstance(e, CandidateAdded)}


def intervals(results: Results) -> pa.Table:
    """Return each leader's mean `probe.metric` on validation over the fresh seeds.

    Columns: the varied fields, seeds, mean, sd (over seeds), and lo, hi: Student's 95 %
    interval of the mean, null for one seed.
    """
    events = read_log(results.location)
    points = _points(events)
    groups: dict[tuple[tuple[str, Any], ...], list[float]] = {}
    metric = results.metric
    for row in results.trials.select(["trial_id", metric]).to_pylist():
        if row[metric] is not None:
            point = points[row["trial_id"]]
            key = tuple((name, value) for name, value in point.items() if name != "seed")
            groups.setdefault(key, []).append(row[metric])
    rows = [{**dict(key), **summary(values)} for key, values in groups.items()]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: -row["mean"]))


def summary(accuracies: Sequence[float]) -> dict[str, Any]:
    """Return seeds, mean, sd, lo and hi of one leader; the last three are None for one seed."""
    count, mean = len(accuracies), statistics.fmean(accuracies)
    row: dict[str, Any] = {"seeds": count, "mean": mean, "sd": None, "lo": None, "hi": None}
    if count > 1:
        half = float(t.ppf(0.975, count - 1) * sem(accuracies))
        row |= {"sd": statistics.stdev(accuracies), "lo": mean - half, "hi": mean + half}
    return row
