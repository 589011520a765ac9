"""The runner over recorded tables: the same rule, step and budget, on a virtual clock.

`simulate` plays one order of a landscape with M workers. `compare` plays many orders for several
rules and adds intervals. For an interval, candidates are drawn with replacement (the seeds of one
point together), every rule plays the same draws and orders, and the figures of the draws give the
2.5 % and 97.5 % quantiles. It is a paired bootstrap in which a draw is a whole simulation, so that
`scipy.stats.bootstrap` has no place here.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from threadpoolctl import threadpool_limits

from sweep.config.models import BudgetConfig
from sweep.core.errors import ConfigError, UserError
from sweep.core.events import SessionBegan
from sweep.core.outcome import outcome
from sweep.core.records import Observation
from sweep.log.log import MemoryLog
from sweep.proposers import Proposer
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.rule_specs import RuleSpec, rule_specs
from sweep.rules import Rule
from sweep.study import Study

# One order ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """The result of one order of one table; accuracies are between 0 and 1.

    Args:
        regret: the best validation accuracy of all candidates minus that of the chosen one.
        test_regret: test accuracy of the candidate that probing all would choose minus that of
            the chosen one; NaN if the table has no test accuracies.
        probes: how many probes, of trained models and during training.
        probe_seconds, pretrain_seconds: device-seconds.
        wall_seconds: on the virtual clock.
        whole_seconds: device-seconds of pretraining and probing the whole table.
        within: the regret that counts as "within a point"; see `Landscape.within`.
        curve: after each probe of a trained model, (device-seconds so far, regret so far).
    """

    regret: float
    test_regret: float
    probes: int
    probe_seconds: float
    pretrain_seconds: float
    wall_seconds: float
    whole_seconds: float
    within: float
    curve: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Clock:
    """A clock that shows the time that it was set to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(
    landscape: Landscape,
    rule: Rule,
    order: Sequence[int],
    *,
    parallel: int,
    budget: BudgetConfig | None = None,
    online: bool = False,
    early: bool = False,
    proposer: Proposer | None = None,
) -> tuple[Study, Played]:
    """Play one order of a table.

    Args:
        landscape: complete.
        rule: decides which models are probed.
        order: a permutation of the candidates' numbers, in which they wait.
        parallel: M, how many workers.
        budget: as in a live study.
        online: run (and pay for) the probes during training.
        early: measure (and pay for) the criteria during training.
        proposer: chooses the candidate that is pretrained next; by default the first in order.
    """
    clock, log = Clock(), MemoryLog()
    study = Study(
        rule=rule, log=log, proposer=proposer, budget=budget, workers=parallel, clock=clock
    )
    study.record(SessionBegan(workers=parallel))
    trials: dict[str, tuple[Observation, ...]] = {}
    for number in order:
        candidate = landscape.candidates[number]
        trials[candidate.trial_id] = tuple(_shown(candidate, online=online, early=early))
        study.add(candidate.trial_id, {**candidate.names, **candidate.point}, {})
    reported = dict.fromkeys(trials, 0)
    queue: list[tuple[float, int, str]] = []
    tie = 0
    spent = _Spent(landscape)
    while True:
        while len(study.working) < parallel and (trial_id := study.next()) is not None:
            study.start(trial_id)
            seconds = trials[trial_id][reported[trial_id]].cost.wall_seconds
            heapq.heappush(queue, (clock.now + seconds, tie, trial_id))
            tie += 1
        if not queue:
            break
        clock.now, _, trial_id = heapq.heappop(queue)
        observation = trials[trial_id][reported[trial_id]]
        reported[trial_id] += 1
        spent.add(trial_id, observation)
        if study.observe(trial_id, observation) == "continue":
            seconds = trials[trial_id][reported[trial_id]].cost.wall_seconds
            heapq.heappush(queue, (clock.now + seconds, tie, trial_id))
            tie += 1
    return study, spent.played(study, clock.now)


def _shown(candidate: Recorded, *, online: bool, early: bool) -> Iterator[Observation]:
    """Yield the observations of a candidate, without the looks that are switched off."""
    for observation in candidate.seen:
        is_on = {"measured": early, "probed": online}.get(observation.stage, True)
        if observation.final or is_on or observation.broken:
            yield observation


class _Spent:
    """Adds up the costs of an order, and keeps the best accuracy so far."""

    def __init__(self, landscape: Landscape) -> None:
        self._by_id = {c.trial_id: c for c in landscape.candidates}
        self._top = max(
            (c for c in landscape.candidates if c.accuracy is not None),
            key=lambda c: c.accuracy or 0.0,
        )
        probes = sum(c.probe_seconds for c in landscape.candidates)
        self._whole = max(landscape.pretrain_seconds + probes, 1e-12)
        self._within = landscape.within
        self._best = 0.0
        self._pretrain = self._probe = self._all = 0.0
        self._probes = 0
        self._curve: list[tuple[float, float]] = []

    def add(self, trial_id: str, observation: Observation) -> None:
        seconds = observation.cost.device_seconds
        self._all += seconds
        if observation.stage == "probed":
            self._probes += 1
            self._probe += seconds
            accuracy = observation.measure("accuracy")
            if observation.final and accuracy is not None and accuracy.value is not None:
                self._best = max(self._best, accuracy.value)
                self._curve.append((self._all, (self._top.accuracy or 0.0) - self._best))
        elif observation.stage in ("pretrain", "trained"):
            self._pretrain += seconds

    def played(self, study: Study, now: float) -> Played:
        winner = outcome(study.history, "").winner
        choice = self._by_id[winner] if winner is not None else None
        top = self._top
        if choice is None:  # nothing was probed: counts like the worst choice
            worst = min(c.accuracy for c in self._by_id.values() if c.accuracy is not None)
            regret, test_regret = (top.accuracy or 0.0) - worst, float("nan")
        else:
            regret = (top.accuracy or 0.0) - (choice.accuracy or 0.0)
            known = top.test_accuracy is not None and choice.test_accuracy is not None
            test_regret = (
                (top.test_accuracy or 0.0) - (choice.test_accuracy or 0.0)
                if known
                else float("nan")
            )
        return Played(
            regret=regret,
            test_regret=test_regret,
            probes=self._probes,
            probe_seconds=self._probe,
            pretrain_seconds=self._pretrain,
            wall_seconds=now,
            whole_seconds=self._whole,
            within=self._within,
            curve=tuple(self._curve),
        )


# Many orders -------------------------------------------------------------------------

FIGURES: Mapping[str, Callable[[list[Played]], float]] = {
    "p_within_1": lambda all_: _mean(p.regret <= p.within + 1e-12 for p in all_),
    "mean_regret": lambda all_: 100 * _mean(p.regret for p in all_),
    "p99_regret": lambda all_: 100 * float(np.quantile([p.regret for p in all_], 0.99)),
    "worst_regret": lambda all_: 100 * max(p.regret for p in all_),
    "mean_test_regret": lambda all_: 100 * _mean(p.test_regret for p in all_),
    "probes": lambda all_: _mean(p.probes for p in all_),
    "probe_seconds": lambda all_: _mean(p.probe_seconds for p in all_),
    "pretrain_seconds": lambda all_: _mean(p.pretrain_seconds for p in all_),
    "device_seconds_fraction": lambda all_: _mean(
        (p.pretrain_seconds + p.probe_seconds) / p.whole_seconds for p in all_
    ),
    "wall_seconds": lambda all_: _mean(p.wall_seconds for p in all_),
    "to_half_a_point": lambda all_: _to_regret(all_, 0.005),
}
"""Name -> value over the orders of one table. Regrets are in points. `device_seconds_fraction` is a
share of the device-seconds of pretraining and probing the whole grid. `to_half_a_point` is the
share of them after which the mean regret is at most 0.5 points, NaN if it never is."""


def _mean(values: Iterator[float] | Any) -> float:
    return float(np.mean(list(values)))


def _to_regret(played: list[Played], bound: float) -> float:
    worst = max(max((r for _, r in p.curve), default=1.0) for p in played)
    steps = sorted((s / p.whole_seconds, i, r) for i, p in enumerate(played) for s, r in p.curve)
    now = np.full(len(played), max(worst, 1.0))
    for share, which, regret in steps:
        now[which] = regret
        if now.mean() <= bound:
            return float(share)
    return float("nan")


def compare(
    landscape: Landscape,
    rules: Sequence[str],
    *,
    parallel: int = 10,
    orders: int = 1000,
    draws: int = 100,
    seed: int = 0,
    jobs: int | None = None,
    budget: BudgetConfig | None = None,
    leave_out: float = 0.0,
) -> list[dict[str, Any]]:
    """Play many orders of a table for several rules; return one row for each.

    Args:
        landscape: complete.
        rules: as `RuleSpec.parse` reads them.
        parallel: M, how many workers.
        orders: how many orders of the table itself; their figures are the estimates.
        draws: how many draws of candidates, for the intervals; each is played in a few orders.
        seed: of orders and draws.
        jobs: how many processes; by default one for each core.
        budget: as in a live study.
        leave_out: share of the candidates that each order leaves out, drawn anew for each. With
            0, a rule that waits for all alphas gives the same outcome in every order.

    Returns:
        Dicts with `table`, `rule`, `orders`, the `FIGURES`, `NAME_lo` and `NAME_hi`, and
        `less_regret`, the first rule's mean regret minus this one's, with its interval.
    """
    if orders < 1:
        raise ConfigError(f"orders is {orders}, but must be >= 1.")
    if not 0 <= leave_out < 1:
        raise ConfigError(f"leave_out is {leave_out:g}, but must be >= 0 and < 1.")
    landscape = landscape.complete()
    who = rule_specs(rules, landscape)
    nested = max(1, orders // (5 * max(draws, 1)))
    chunk = max(1, min(25, orders // 4))
    tasks: list[_Task] = [
        ("table", first, min(chunk, orders - first)) for first in range(0, orders, chunk)
    ]
    of_table = len(tasks)
    tasks += [("draw", number, nested) for number in range(draws)]
    play = partial(_play, landscape, who, parallel, budget, leave_out, seed)
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        results = [play(task) for task in tasks]
    else:
        # One BLAS thread each: the systems are small, and there is a process for each core.
        with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
            results = list(pool.map(play, tasks, chunksize=1))
    given = {c.label: [p for out in results[:of_table] for p in out[c.label]] for c in who}
    drawn = {c.label: [out[c.label] for out in results[of_table:]] for c in who}
    about = {"table": landscape.name, "orders": orders, "candidates": len(landscape)}
    about |= {"parallel": parallel, "left_out": leave_out}
    rows = [
        {**about, "rule": c.label, "matched": c.matched, **_figures(given, drawn, c, who[0])}
        for c in who
    ]
    order = {name: place for place, name in enumerate(rules)}
    return sorted(rows, key=lambda row: order[row["rule"]])


def _figures(
    given: Mapping[str, list[Played]],
    drawn: Mapping[str, list[list[Played]]],
    spec: RuleSpec,
    first: RuleSpec,
) -> dict[str, float | None]:
    """Return one rule's figures over the table, with their intervals over the draws."""
    row: dict[str, float | None] = {}
    for name, figure in FIGURES.items():
        row[name] = _finite(figure(given[spec.label]))
        row[f"{name}_lo"], row[f"{name}_hi"] = _interval(map(figure, drawn[spec.label]))
    regret = FIGURES["mean_regret"]
    row["less_regret"] = regret(given[first.label]) - regret(given[spec.label])
    pairs = zip(drawn[first.label], drawn[spec.label], strict=True)
    paired = [regret(one) - regret(other) for one, other in pairs]
    row["less_regret_lo"], row["less_regret_hi"] = _interval(paired)
    return row


def _interval(drawn: Iterable[float]) -> tuple[float | None, float | None]:
    finite = [value for value in drawn if np.isfinite(value)]
    if not finite:
        return None, None
    lo, hi = np.quantile(finite, [0.025, 0.975])
    return float(lo), float(hi)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


_Task = tuple[str, int, int]
"""`table` or `draw`, the number of the first order or of the draw, and how many orders."""


def _play(
    landscape: Landscape,
    who: Sequence[RuleSpec],
    parallel: int,
    budget: BudgetConfig | None,
    leave_out: float,
    seed: int,
    task: _Task,
) -> dict[str, list[Played]]:
    """Play some orders of the table, or of one draw of its candidates."""
    kind, number, count = task
    if kind == "draw":
        landscape = _drawn(landscape, seed, number)
    kept = max(1, round((1 - leave_out) * len(landscape)))
    out: dict[str, list[Played]] = {spec.label: [] for spec in who}
    for which in range(number, number + count) if kind == "table" else range(count):
        stream = [seed, 0, which] if kind == "table" else [seed, 2, number, which]
        part = _in_order(landscape, np.random.default_rng(stream), kept)
        for spec in who:
            keys: dict[str, Any] = {}
            if spec.matched is not None:
                keys["probes"] = max(1, out[spec.matched][-1].probes)
            _, played = simulate(
                part,
                spec.make_rule(seed=which, **keys),
                range(kept),
                parallel=parallel,
                budget=budget,
                online=spec.online,
                early=spec.early,
                proposer=spec.make_proposer(seed=1000 * which + 1),
            )
            out[spec.label].append(played)
    return out


def _in_order(landscape: Landscape, rng: np.random.Generator, kept: int) -> Landscape:
    """Return `kept` candidates in a random order, at least one of them probed."""
    while True:
        part = landscape.part(rng.permutation(len(landscape))[:kept].tolist())
        if any(c.accuracy is not None for c in part.candidates):
            return part


def _drawn(landscape: Landscape, seed: int, number: int) -> Landscape:
    """Return a draw of the candidates, at least one of them probed."""
    while True:
        drawn = landscape.resampled(np.random.default_rng([seed, 1, number]))
        if any(c.accuracy is not None for c in drawn.candidates):
            return drawn
        number += 1_000_003


BRIEF_COLUMNS = (
    "table", "rule", "p_within_1", "mean_regret", "p99_regret", "worst_regret",
    "mean_test_regret", "probes", "device_seconds_fraction", "to_half_a_point", "less_regret",
    "less_regret_lo", "less_regret_hi",
)  # fmt: skip
"""The columns that are printed as a table; `--json`, `--csv` and Parquet have all."""


def to_table(rows: Sequence[dict[str, Any]], path: Path | None, *, brief: bool) -> pa.Table:
    """Return rows of `compare` as a table; write it to `path`, if given."""
    table = pa.Table.from_pylist(list(rows))
    if path is not None:
        try:
            pyarrow.parquet.write_table(table, path)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error}.") from error
    return (
        table.select([name for name in BRIEF_COLUMNS if name in table.column_names])
        if brief
        else table
    )
