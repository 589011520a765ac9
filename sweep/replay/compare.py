"""Many orders of a table for several rules: their figures, intervals, and how they differ.

`play` runs every order, `rows` sums them up, and `compare` does both. Curves over all budgets are
in `sweep.replay.frontier`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from threadpoolctl import threadpool_limits

from sweep.config.models import BudgetConfig
from sweep.core.errors import ConfigError, UserError
from sweep.replay.accounting import Played
from sweep.replay.figures import FIGURES, RANGES, SHARES, Floats, first_known, mean_curve
from sweep.replay.intervals import drawn_points, factor, margin, margins
from sweep.replay.landscape import Landscape
from sweep.replay.rule_specs import RuleSpec, rule_specs
from sweep.replay.simulate import simulate

NESTED = 4
"""Orders of each draw, at least: with fewer, the chance of the orders widens the intervals more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Every order of one table, played by several rules.

    Args:
        table: its name.
        candidates, orders: how many.
        parallel: M, how many workers.
        left_out: share of the candidates that each order leaves out.
        rules: as given; the others are compared with the first.
        given: label of a rule -> its orders of the table itself.
        drawn: label of a rule -> for each draw of candidates, its orders.
        scale: turns the spread over draws into that over tables; see `sweep.replay.intervals`.
    """

    table: str
    candidates: int
    orders: int
    parallel: int
    left_out: float
    rules: tuple[RuleSpec, ...]
    given: Mapping[str, list[Played]]
    drawn: Mapping[str, list[list[Played]]]
    scale: float

    @property
    def about(self) -> dict[str, Any]:
        """The columns that are the same for every rule."""
        return {
            "table": self.table,
            "orders": self.orders,
            "candidates": self.candidates,
            "parallel": self.parallel,
            "left_out": self.left_out,
        }


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
    """Play many orders of a table for several rules; return `rows`. Arguments: see `play`."""
    return rows(
        play(
            landscape,
            rules,
            parallel=parallel,
            orders=orders,
            draws=draws,
            seed=seed,
            jobs=jobs,
            budget=budget,
            leave_out=leave_out,
        )
    )


# Playing -----------------------------------------------------------------------------


def play(
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
) -> Results:
    """Play many orders of a table for several rules.

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
    """
    if orders < 1:
        raise ConfigError(f"orders is {orders}, but must be >= 1.")
    if not 0 <= leave_out < 1:
        raise ConfigError(f"leave_out is {leave_out:g}, but must be >= 0 and < 1.")
    landscape = landscape.complete()
    who = rule_specs(rules, landscape)
    points = len(landscape.points())
    draws = draws if drawn_points(points) else 0
    chunk = max(1, min(10, orders // 4))
    tasks: list[_Task] = [
        ("table", first, min(chunk, orders - first)) for first in range(0, orders, chunk)
    ]
    of_table = len(tasks)
    nested = min(orders, max(NESTED, orders // (2 * max(draws, 1))))
    tasks += [("draw", number, nested) for number in range(draws)]
    run = partial(_play, landscape, who, parallel, budget, leave_out, seed)
    results = _map(run, tasks, jobs or os.cpu_count() or 1)
    place = {name: number for number, name in enumerate(rules)}
    return Results(
        table=landscape.name,
        candidates=len(landscape),
        orders=orders,
        parallel=parallel,
        left_out=leave_out,
        rules=tuple(sorted(who, key=lambda spec: place[spec.label])),
        given={c.label: [p for out in results[:of_table] for p in out[c.label]] for c in who},
        drawn={c.label: [out[c.label] for out in results[of_table:]] for c in who},
        scale=factor(points),
    )


_Task = tuple[str, int, int]
"""`table` or `draw`, the number of the first order or of the draw, and how many orders."""
_Orders = dict[str, list[Played]]


def _map(run: partial[_Orders], tasks: list[_Task], jobs: int) -> list[_Orders]:
    if jobs == 1:
        return [run(task) for task in tasks]
    # One BLAS thread each: the systems are small, and there is a process for each core.
    with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        return list(pool.map(run, tasks, chunksize=1))


def _play(
    landscape: Landscape,
    who: Sequence[RuleSpec],
    parallel: int,
    budget: BudgetConfig | None,
    leave_out: float,
    seed: int,
    task: _Task,
) -> _Orders:
    """Play some orders of the table, or of one draw of its candidates."""
    kind, number, count = task
    if kind == "draw":
        landscape, leave_out = _drawn(landscape, seed, number), 0.0
    kept = max(1, round((1 - leave_out) * len(landscape)))
    out: _Orders = {spec.label: [] for spec in who}
    for which in range(number, number + count) if kind == "table" else range(count):
        stream = [seed, 0, which] if kind == "table" else [seed, 2, number, which]
        part = _in_order(landscape, np.random.default_rng(stream), kept)
        for spec in who:
            keys: dict[str, Any] = {}
            if spec.matched is not None:
                keys["probes"] = max(1, out[spec.matched][-1].probes)
            rule = spec.make_rule(seed=which, **keys)
            _, played = simulate(
                part,
                rule,
                range(kept),
                parallel=parallel,
                budget=budget,
                online=bool(getattr(rule, "online", False)),
                early=spec.early or bool(getattr(rule, "early", False)),
                proposer=spec.make_proposer(seed=1000 * which + 1),
            )
            sources = tuple(source.name for source in getattr(rule, "sources", ()))
            out[spec.label].append(replace(played, prior=sources))
    return out


def _in_order(landscape: Landscape, rng: np.random.Generator, kept: int) -> Landscape:
    """Return `kept` candidates in a random order, at least one of them probed."""
    while True:
        part = landscape.part(rng.permutation(len(landscape))[:kept].tolist())
        if any(c.accuracy is not None for c in part.candidates):
            return part


def _drawn(landscape: Landscape, seed: int, number: int) -> Landscape:
    """Return a draw of half of the points, without replacement, at least one of them probed."""
    points = landscape.points()
    rng = np.random.default_rng([seed, 1, number])
    while True:
        chosen = rng.choice(len(points), drawn_points(len(points)), replace=False)
        part = landscape.part([row for which in sorted(chosen) for row in points[which]])
        if any(c.accuracy is not None for c in part.candidates):
            return part


# Summing up --------------------------------------------------------------------------


def rows(results: Results) -> list[dict[str, Any]]:
    """Return one row for each rule.

    Each has `table`, `rule`, `orders`, `candidates`, `parallel`, `left_out`, `matched`, and
        NAME, NAME_lo, NAME_hi: the `FIGURES`, with their 95 % intervals.
        prior: names of the earlier studies that the rule used.
        curve: [share, mean regret]: after each share of the grid's device-seconds.
        less_regret: the first rule's mean regret minus this one's, with its paired interval.
        curve_not_above: the share of budgets at which the first rule's mean regret is not above
            this one's by more than half the width of the paired interval at that budget; budgets
            from which either rule has a fully trained model, up to the whole grid. None for the
            first rule itself.
        curve_most_above: the largest difference there, first minus this one, in points.
    """
    return [
        {
            **results.about,
            "rule": spec.label,
            "matched": spec.matched,
            "prior": _prior(results.given[spec.label]),
            **_figures(results, spec.label),
            **_difference(results, spec.label),
            "curve": _curve(results.given[spec.label]),
        }
        for spec in results.rules
    ]


def _prior(all_: list[Played]) -> list[str]:
    return list(dict.fromkeys(name for played in all_ for name in played.prior))


def _curve(all_: list[Played]) -> list[list[float]]:
    regret = mean_curve(all_, "device", SHARES)
    return [
        [round(s, 6), round(r, 6)] for s, r in zip(SHARES.tolist(), regret.tolist(), strict=True)
    ]


def _figures(results: Results, label: str) -> dict[str, float | None]:
    """Return one rule's figures over the table, with their intervals."""
    row: dict[str, float | None] = {}
    for name, figure in FIGURES.items():
        value = figure(results.given[label])
        half = margin(map(figure, results.drawn[label]), results.scale)
        row[name] = _finite(value)
        ends = np.clip([value - half, value + half], *RANGES.get(name, (0.0, math.inf)))
        row[f"{name}_lo"], row[f"{name}_hi"] = (_finite(float(end)) for end in ends)
    return row


def _difference(results: Results, label: str) -> dict[str, float | None]:
    """Return how the first rule's regret differs from this one's, at the end and on the way."""
    first = results.rules[0].label
    regret = FIGURES["mean_regret"]
    less = regret(results.given[first]) - regret(results.given[label])
    pairs = zip(results.drawn[first], results.drawn[label], strict=True)
    half = margin((regret(one) - regret(other) for one, other in pairs), results.scale)
    row = {
        "less_regret": less,
        "less_regret_lo": _finite(less - half),
        "less_regret_hi": _finite(less + half),
        "curve_not_above": None,
        "curve_most_above": None,
    }
    if label != first:
        known = min(first_known(results.given[name], "device") for name in (first, label))
        difference, halves = curve_difference(results, label, "device", SHARES)
        counted = min(known, 1.0) <= SHARES
        not_above = difference <= np.nan_to_num(halves) + 1e-9
        row["curve_not_above"] = float(not_above[counted].mean())
        row["curve_most_above"] = float(difference[counted].max())
    return row


def curve_difference(
    results: Results, label: str, axis: str, budgets: Floats
) -> tuple[Floats, Floats]:
    """Return the first rule's mean regret minus another's at each budget, in points, [B].

    Args:
        results: of both rules.
        label: of the other rule.
        axis: of `AXES`.
        budgets: amounts of the axis, [B].

    Returns:
        The differences, and half the width of each paired 95 % interval, NaN without draws.
    """
    first = results.rules[0].label
    given = [mean_curve(results.given[name], axis, budgets) for name in (first, label)]
    drawn = [curves_of_draws(results, name, axis, budgets) for name in (first, label)]
    return given[0] - given[1], margins(drawn[0] - drawn[1], results.scale)


def curves_of_draws(results: Results, label: str, axis: str, budgets: Floats) -> Floats:
    """Return a rule's mean regret in each draw at each budget, [D, B]."""
    curves = [mean_curve(all_, axis, budgets) for all_ in results.drawn[label]]
    return np.array(curves).reshape(len(curves), len(budgets))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


BRIEF_COLUMNS = (
    "table", "rule", "p_within_1", "mean_regret", "p99_regret", "worst_regret",
    "mean_test_regret", "probes", "pretrain_fraction", "device_seconds_fraction", "wall_fraction",
    "to_half_a_point", "less_regret", "less_regret_lo", "less_regret_hi", "curve_not_above",
)  # fmt: skip
"""The columns that are printed as a table; `--json`, `--csv` and Parquet have all."""


def to_table(
    rows_of_rules: Sequence[Mapping[str, Any]], path: Path | None, *, brief: bool
) -> pa.Table:
    """Return rows of `compare` as a table; write it to `path`, if given."""
    table = pa.Table.from_pylist(list(rows_of_rules))
    if path is not None:
        write_table(table, path)
    return table.select(list(BRIEF_COLUMNS)) if brief else table


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet; `UserError` if that fails."""
    try:
        pyarrow.parquet.write_table(table, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}.") from error
