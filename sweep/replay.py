"""The runner over recorded tables: the same rule, step and budget, on a virtual clock.

`simulate` plays one order of a landscape with M workers; `compare` plays many, for several
contenders, and puts intervals on what they come to: candidates are drawn anew with
replacement (seeds of one point together), all contenders play the same draws and orders, and
the interval is that of the mean over a draw's orders.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from threadpoolctl import threadpool_limits

from sweep.config import BudgetConfig, RuleConfig
from sweep.errors import ConfigError, UserError
from sweep.landscape import Landscape, Recorded
from sweep.outcome import outcome
from sweep.plugins import resolve
from sweep.proposers import PROPOSERS, Proposer
from sweep.records import Observation
from sweep.rules import RULES, Rule
from sweep.store import MemoryLog
from sweep.study import Study

ONLINE = ("halving", "asha")
"""Rules that go by the online probe, and pay for it; for the others it is not taken."""


# Who takes part ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A rule with its parameters, as named on the command line: `goldilocks:tolerance=0.002`.

    Args:
        label: as given.
        rule: the config.
        matched: for `random`: the contender whose number of probes it gets, run by run.
        early: whether criteria on the way are looked at.
        proposer: names the candidate that is pretrained next.
    """

    label: str
    rule: RuleConfig
    matched: str | None = None
    early: bool = False
    proposer: str = "order"

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Read `NAME` or `NAME:key=value,key=value`; raise `ConfigError`.

        Keys are the rule's fields, and `early`, `proposer`, and `as` for `random`. `tpe` is
        `all:proposer=tpe`: every model is probed as soon as it is trained.
        """
        name, _, rest = text.partition(":")
        if name == "tpe":
            name, rest = "all", f"proposer=tpe,{rest}"
        resolve("The rule", name, RULES)
        fields: dict[str, Any] = {"name": name}
        for item in filter(None, rest.split(",")):
            key, equals, value = item.partition("=")
            if not equals:
                raise ConfigError(f"{text!r}: {item!r} is not key=value.")
            fields[key.strip()] = value.strip()
        matched = fields.pop("as", None)
        early = str(fields.pop("early", "no")).lower() in ("true", "1", "yes")
        proposer = fields.pop("proposer", "order")
        resolve("The proposer", proposer, PROPOSERS)
        fields.setdefault("eager", early or proposer != "order")
        try:
            rule = RuleConfig(**fields)
        except ValueError as error:
            first = error.errors()[0]  # type: ignore[attr-defined]
            raise ConfigError(f"{text!r}: {first['loc'][0]}: {first['msg']}.") from error
        return cls(label=text, rule=rule, matched=matched, early=early, proposer=proposer)


def contenders(names: Sequence[str]) -> list[Contender]:
    """Return the contenders; a plain `random` gets as many probes as the first of the others."""
    found = [Contender.parse(name) for name in names]
    others = [c for c in found if c.rule.name not in ("random", "all", "none")]
    out = []
    for contender in found:
        if contender.rule.name == "random" and contender.rule.probes is None:
            model = contender.matched or (others[0].label if others else None)
            if model is None or model not in [c.label for c in found]:
                raise ConfigError(
                    f"{contender.label!r} needs a number of probes: random:probes=10, or another "
                    "rule in --rules whose number it takes, random:as=NAME."
                )
            contender = replace(contender, matched=model)
        out.append(contender)
    return sorted(out, key=lambda c: c.matched is not None)


# One order ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """What one order of one table came to; accuracies as parts of 1.

    Args:
        regret: the best validation accuracy of all minus the choice's.
        test_regret: test accuracy of what probing all would choose minus the choice's; NaN
            where the table has no test accuracies.
        probes: of trained models, and online ones.
        probe_seconds, pretrain_seconds: device-seconds.
        wall_seconds: on the virtual clock.
        curve: after each probe of a trained model, (device-seconds so far, regret so far).
    """

    regret: float
    test_regret: float
    probes: int
    probe_seconds: float
    pretrain_seconds: float
    wall_seconds: float
    curve: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Clock:
    """A clock that stands where it is put."""

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
        rule: decides.
        order: in which the candidates wait: a permutation of their numbers.
        parallel: M workers.
        budget: as in a live study.
        online: take (and pay for) the online probe.
        early: take (and pay for) criteria on the way.
        proposer: names the candidate that is pretrained next; by default the first in order.
    """
    clock, log = Clock(), MemoryLog()
    study = Study(
        rule=rule, log=log, proposer=proposer, budget=budget, workers=parallel, clock=clock
    )
    study.record("session", {"workers": parallel})
    trials: dict[str, tuple[Observation, ...]] = {}
    for number in order:
        candidate = landscape.candidates[number]
        trials[candidate.trial_id] = tuple(_shown(candidate, online=online, early=early))
        study.add(candidate.trial_id, candidate.point, {})
    told = dict.fromkeys(trials, 0)
    queue: list[tuple[float, int, str]] = []
    tie = 0
    spent = _Spent(landscape)
    while True:
        while len(study.working) < parallel and (trial_id := study.next()) is not None:
            study.start(trial_id)
            seconds = trials[trial_id][told[trial_id]].cost.wall_seconds
            heapq.heappush(queue, (clock.now + seconds, tie, trial_id))
            tie += 1
        if not queue:
            break
        clock.now, _, trial_id = heapq.heappop(queue)
        seen = trials[trial_id][told[trial_id]]
        told[trial_id] += 1
        spent.add(trial_id, seen)
        if study.observe(trial_id, seen) == "continue":
            seconds = trials[trial_id][told[trial_id]].cost.wall_seconds
            heapq.heappush(queue, (clock.now + seconds, tie, trial_id))
            tie += 1
    return study, spent.played(study, clock.now)


def _shown(candidate: Recorded, *, online: bool, early: bool) -> Iterator[Observation]:
    """Yield what a candidate reports, without the looks that are not taken."""
    for seen in candidate.seen:
        taken = {"measured": early, "probed": online}.get(seen.stage, True)
        if seen.final or taken or seen.broken:
            yield seen


class _Spent:
    """Adds up an order's costs, and follows the best model so far."""

    def __init__(self, landscape: Landscape) -> None:
        self._by_id = {c.trial_id: c for c in landscape.candidates}
        self._top = max(
            (c for c in landscape.candidates if c.accuracy is not None),
            key=lambda c: c.accuracy or 0.0,
        )
        self._best = 0.0
        self._pretrain = self._probe = self._all = 0.0
        self._probes = 0
        self._curve: list[tuple[float, float]] = []

    def add(self, trial_id: str, seen: Observation) -> None:
        seconds = seen.cost.device_seconds
        self._all += seconds
        if seen.stage == "probed":
            self._probes += 1
            self._probe += seconds
            accuracy = seen.measure("accuracy")
            if seen.final and accuracy is not None and accuracy.value is not None:
                self._best = max(self._best, accuracy.value)
                self._curve.append((self._all, (self._top.accuracy or 0.0) - self._best))
        elif seen.stage in ("pretrain", "trained"):
            self._pretrain += seconds

    def played(self, study: Study, now: float) -> Played:
        winner = outcome(study.history, "").winner
        choice = self._by_id[winner] if winner is not None else None
        top = self._top
        if choice is None:  # nothing was probed: as bad as knowing nothing
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
            curve=tuple(self._curve),
        )


# Many orders -------------------------------------------------------------------------

FIGURES: Mapping[str, Callable[[list[Played], Landscape], float]] = {
    "p_within_1": lambda all_, land: _mean(p.regret <= land.within + 1e-12 for p in all_),
    "mean_regret": lambda all_, land: 100 * _mean(p.regret for p in all_),
    "p99_regret": lambda all_, land: 100 * float(np.quantile([p.regret for p in all_], 0.99)),
    "worst_regret": lambda all_, land: 100 * max(p.regret for p in all_),
    "mean_test_regret": lambda all_, land: 100 * _mean(p.test_regret for p in all_),
    "probes": lambda all_, land: _mean(p.probes for p in all_),
    "probe_seconds": lambda all_, land: _mean(p.probe_seconds for p in all_),
    "pretrain_seconds": lambda all_, land: _mean(p.pretrain_seconds for p in all_),
    "device_seconds_fraction": lambda all_, land: (
        _mean(p.pretrain_seconds + p.probe_seconds for p in all_) / _whole(land)
    ),
    "wall_seconds": lambda all_, land: _mean(p.wall_seconds for p in all_),
    "to_half_a_point": lambda all_, land: _to_regret(all_, land, 0.005),
}
"""Name -> value over the orders of one table. Regrets in points; `device_seconds_fraction` is
of pretraining and probing the whole grid; `to_half_a_point` is the part of the grid's
device-seconds after which the mean regret is at most 0.5 points, NaN if it never is."""


def _mean(values: Iterator[float] | Any) -> float:
    return float(np.mean(list(values)))


def _whole(landscape: Landscape) -> float:
    """Return the device-seconds of training and probing everything."""
    probes = sum(c.probe_seconds for c in landscape.candidates)
    return max(landscape.pretrain_seconds + probes, 1e-12)


def _to_regret(played: list[Played], landscape: Landscape, bound: float) -> float:
    whole = _whole(landscape)
    worst = max(max((r for _, r in p.curve), default=1.0) for p in played)
    steps = sorted((s, i, r) for i, p in enumerate(played) for s, r in p.curve)
    now = np.full(len(played), max(worst, 1.0))
    for seconds, which, regret in steps:
        now[which] = regret
        if now.mean() <= bound:
            return float(seconds / whole)
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
) -> list[dict[str, Any]]:
    """Play many orders of a table for several rules; return one row for each.

    Args:
        landscape: complete.
        rules: as `Contender.parse` reads them.
        parallel: M workers.
        orders: of the table itself; their figures are the estimates.
        draws: of candidates, for the intervals; each is played in a few orders.
        seed: of orders and draws.
        jobs: processes; by default one for each core.
        budget: as in a live study.

    Returns:
        Dicts with `table`, `rule`, `orders`, the `FIGURES`, `NAME_lo` and `NAME_hi`, and
        `less_regret`, the first rule's mean regret minus this one's, with its interval.
    """
    if orders < 1:
        raise ConfigError(f"orders is {orders}, but must be >= 1.")
    landscape = landscape.complete()
    who = contenders(rules)
    nested = max(1, orders // (5 * max(draws, 1)))
    chunk = max(1, min(25, orders // 4))
    tasks = [
        ("table", (seed, first, min(chunk, orders - first))) for first in range(0, orders, chunk)
    ]
    tasks += [("draw", (seed, draw, nested)) for draw in range(draws)]
    work = [(landscape, who, parallel, budget, kind, given) for kind, given in tasks]
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        results = [_play_task(task) for task in work]
    else:
        # One BLAS thread each: small systems, and as many processes as cores.
        with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
            results = list(pool.map(_play_task, work, chunksize=1))
    rows = []
    parts = len([kind for kind, _ in tasks if kind == "table"])
    for contender in who:
        label = contender.label
        played = [p for _, out in results[:parts] for p in out[label]]
        row: dict[str, Any] = {"table": landscape.name, "rule": label, "orders": orders}
        row["candidates"], row["parallel"] = len(landscape), parallel
        row["matched"] = contender.matched
        samples = [(land, out[label]) for land, out in results[parts:]]
        for name, figure in FIGURES.items():
            row[name] = _finite(figure(played, landscape))
            drawn = [figure(some, land) for land, some in samples]
            row[f"{name}_lo"], row[f"{name}_hi"] = _interval(drawn)
        first = who[0].label
        regret = FIGURES["mean_regret"]
        base = [p for _, out in results[:parts] for p in out[first]]
        row["less_regret"] = regret(base, landscape) - regret(played, landscape)
        paired = [
            regret(out[first], land) - regret(out[label], land) for land, out in results[parts:]
        ]
        row["less_regret_lo"], row["less_regret_hi"] = _interval(paired)
        rows.append(row)
    order = {name: place for place, name in enumerate(rules)}
    return sorted(rows, key=lambda row: order[row["rule"]])


def _interval(drawn: Sequence[float]) -> tuple[float | None, float | None]:
    finite = [value for value in drawn if np.isfinite(value)]
    if not finite:
        return None, None
    lo, hi = np.quantile(finite, [0.025, 0.975])
    return float(lo), float(hi)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


_Task = tuple[Landscape, list[Contender], int, BudgetConfig | None, str, tuple[int, int, int]]


def _play_task(task: _Task) -> tuple[Landscape, dict[str, list[Played]]]:
    """Play some orders of the table, or of one draw of its candidates."""
    landscape, who, parallel, budget, kind, (seed, number, count) = task
    if kind == "draw":
        landscape = landscape.resampled(np.random.default_rng([seed, 1, number]))
        while not any(c.accuracy is not None for c in landscape.candidates):
            number += 1_000_003
            landscape = landscape.resampled(np.random.default_rng([seed, 1, number]))
    out: dict[str, list[Played]] = {contender.label: [] for contender in who}
    for which in range(number, number + count) if kind == "table" else range(count):
        stream = [seed, 0, which] if kind == "table" else [seed, 2, number, which]
        order = np.random.default_rng(stream).permutation(len(landscape)).tolist()
        for contender in who:
            rule = contender.rule
            if contender.matched is not None:
                probes = out[contender.matched][-1].probes
                rule = rule.model_copy(update={"probes": max(1, probes)})
            _, played = simulate(
                landscape,
                RULES[rule.name](rule),
                order,
                parallel=parallel,
                budget=budget,
                online=rule.name in ONLINE,
                early=contender.early,
                proposer=PROPOSERS[contender.proposer](1000 * which + 1),
            )
            out[contender.label].append(played)
    return landscape, out


BRIEF = (
    "table", "rule", "p_within_1", "mean_regret", "p99_regret", "worst_regret",
    "mean_test_regret", "probes", "device_seconds_fraction", "to_half_a_point", "less_regret",
    "less_regret_lo", "less_regret_hi",
)  # fmt: skip
"""What a person reads first of a comparison; `--json`, `--csv` and Parquet have the rest."""


def to_table(rows: Sequence[dict[str, Any]], path: Path | None, *, brief: bool) -> pa.Table:
    """Return rows of `compare` as a table; write it to `path`, if given."""
    table = pa.Table.from_pylist(list(rows))
    if path is not None:
        try:
            pyarrow.parquet.write_table(table, path)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error}.") from error
    return table.select([name for name in BRIEF if name in table.column_names]) if brief else table
