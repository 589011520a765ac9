"""Fits the constants of the rule `race` to complete tables, with each data set left out in turn.

    uv run python experiments/landscapes/fit_race.py [--replay] [TABLE.parquet ...]

The constants are those of `sweep.prediction.joint.Constants` and the length scales of
`sweep.prediction.axes.Lengths`. They maximise the mean log evidence per observation over the
tables: every accuracy at every look counts, and no decision is simulated, so that nothing is tuned
to a rule's regret. `--replay` then plays `race` over each table twice: with the constants of the
package, which all tables helped to fit, and with those that were fitted without the table's group.
A group holds the tables of one data set and method that could tell on each other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

from sweep.core.history import Floats
from sweep.prediction.axes import LENGTHS, Lengths, place
from sweep.prediction.joint import CONSTANTS, Constants, evidence, library
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load
from sweep.replay.simulate import simulate
from sweep.rules.race import Race

HERE = Path(__file__).parent
GROUPS: Mapping[str, str] = {"cifar10_short": "cifar10_small", "digits_four": "digits"}
"""Table -> the table whose group it belongs to, where that is another."""
FITTED = ("shape", "shape_walk", "trial", "trial_walk", "look", "power", "d", "ratio", "other")
MOST_CANDIDATES = 60
"""Of a table, drawn once: the evidence takes cubic time."""
ORDERS = 20


@dataclass(frozen=True, kw_only=True)
class Table:
    """What the evidence needs of a landscape."""

    points_HT: Floats
    fractions: tuple[float, ...]
    axes: Mapping[str, Floats]
    seeds_H: Floats


def table_of(landscape: Landscape) -> Table:
    """Return the accuracies in points of some candidates, and their varied numbers."""
    rng = np.random.default_rng(0)
    kept = rng.permutation(len(landscape))[:MOST_CANDIDATES]
    candidates = [landscape.candidates[row] for row in kept]
    fractions = (*landscape.fractions, 1.0)
    points = np.full((len(candidates), len(fractions)), np.nan)
    for row, candidate in enumerate(candidates):
        for seen in candidate.seen:
            accuracy = seen.measure("accuracy")
            if seen.stage == "probed" and accuracy is not None and accuracy.value is not None:
                points[row, fractions.index(seen.fraction)] = 100 * accuracy.value
    names = sorted(candidates[0].point)
    columns = {name: np.array([c.point.get(name, np.nan) for c in candidates]) for name in names}
    seeds = columns.pop("seed", np.full(len(candidates), np.nan))
    return Table(points_HT=points, fractions=fractions, axes=columns, seeds_H=seeds)


def constants_of(values: Mapping[str, float]) -> tuple[Constants, Lengths]:
    """Return constants and lengths with some values replaced."""
    lengths = {field.name for field in fields(Lengths)}
    return (
        Constants(**{**asdict(CONSTANTS), **{k: v for k, v in values.items() if k not in lengths}}),
        Lengths(**{**asdict(LENGTHS), **{k: v for k, v in values.items() if k in lengths}}),
    )


def log_evidence(table: Table, values: Mapping[str, float]) -> float:
    """Return the log evidence of a table per observation, as a density of unwarped points."""
    constants, lengths = constants_of(values)
    x_HF = place(table.axes, {}, lengths)
    value = evidence(table.points_HT, table.fractions, x_HF, table.seeds_H, constants)
    n, freedom = int((~np.isnan(table.points_HT)).sum()), constants.freedom
    value += gammaln((freedom + n) / 2) - gammaln(freedom / 2) + freedom / 2 * np.log(freedom)
    below = np.nanmax(table.points_HT, 0) - table.points_HT
    return float(value - np.nansum(np.log1p(below / constants.warp))) / n


def fit(tables: Sequence[Table]) -> dict[str, float]:
    """Return the values of `FITTED` that maximise the mean log evidence."""
    start = {**asdict(CONSTANTS), **asdict(LENGTHS)}

    def loss(logs: Floats) -> float:
        values = dict(zip(FITTED, np.exp(logs).tolist(), strict=True))
        return -float(np.mean([log_evidence(table, values) for table in tables]))

    logs = np.log([start[name] for name in FITTED])
    bounds = [(value - 1.5, value + 1.5) for value in logs]
    found = minimize(
        loss, logs, method="L-BFGS-B", bounds=bounds, options={"maxiter": 15, "eps": 1e-2}
    )
    return dict(zip(FITTED, np.exp(found.x).tolist(), strict=True))


def replayed(landscape: Landscape, values: Mapping[str, float]) -> str:
    """Return the mean regret and the part of the grid's pretraining that `race` takes."""
    constants, lengths = constants_of(values)
    judged = type("Race", (Race,), {"library": library(constants), "lengths": lengths})
    kept = round(0.85 * len(landscape))
    regrets, parts = [], []
    for order in range(ORDERS):
        rows = np.random.default_rng([0, 0, order]).permutation(len(landscape))[:kept]
        part = landscape.part(rows.tolist())
        _, played = simulate(part, judged(seed=order), range(kept), parallel=10, online=True)
        regrets.append(100 * played.regret)
        parts.append(played.pretrain_seconds / part.pretrain_seconds)
    return f"regret {np.mean(regrets):.3f} at {np.mean(parts):.3f}"


def judge(job: tuple[str, list[Path], bool]) -> str:
    """Return a line: the constants that are fitted without a group, and what they come to."""
    group, paths, replays = job
    landscapes = {path.stem: load(path) for path in paths}
    others = [
        table_of(landscape)
        for name, landscape in landscapes.items()
        if GROUPS.get(name, name) != group
    ]
    with threadpool_limits(1):
        values = fit(others)
        line = f"without {group or 'nothing'}: " + ", ".join(
            f"{name} {value:.2f}" for name, value in values.items()
        )
        for name, landscape in landscapes.items():
            if replays and GROUPS.get(name, name) == group:
                line += f"\n  {name}: {replayed(landscape, values)}"
                line += f" (the package's constants: {replayed(landscape, {})})"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", type=Path)
    parser.add_argument("--replay", action="store_true")
    arguments = parser.parse_args()
    paths = arguments.tables or sorted(HERE.glob("*.parquet"))
    groups = sorted({GROUPS.get(path.stem, path.stem) for path in paths})
    jobs = [(group, paths, arguments.replay) for group in ("", *groups)]
    with Pool() as pool:
        for line in pool.imap(judge, jobs):
            sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
