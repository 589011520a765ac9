"""Fits the map of `race` with `labels = "end"` to complete tables, each data set left out in turn.

    uv run python experiments/landscapes/fit_few_labels.py [TABLE.parquet ...]

Within each table alpha, RankMe and the final accuracy become ranks. Ridge regression on a, r, a^2,
a r and r^2 is fitted to all tables but those of the group that is judged; every table weighs the
same. For each table the script prints the rank correlation of the score with the final accuracy,
and the regret of the best of the 5 and the 10 models of the largest score, in points, beside the
mean regret of the best of 10 random models; last, for the sum of the scores at two looks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from sweep.core.history import Floats
from sweep.prediction.response import ranked
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load

HERE = Path(__file__).parent
GROUPS = {"cifar10_short": "cifar10_small", "digits_four": "digits"}
"""Table -> a table of the same images that could tell on it."""
FITTED_AT = (1 / 16, 1 / 8)
JUDGED_AT = (1 / 32, 1 / 16, 1 / 8, 1 / 4)
RIDGE = 0.1


def terms(landscape: Landscape, fraction: float) -> Floats:
    """Return a, r, a^2, a r, r^2 and 1 of each model at the nearest look, [m, 6]."""
    look = min(landscape.fractions, key=lambda f: abs(np.log(f / fraction)))
    columns = []
    for name in ("alpha", "rankme"):
        values = []
        for candidate in landscape.candidates:
            measures = [s.measure(name) for s in candidate.seen if s.fraction == look]
            known = [m.value for m in measures if m is not None and m.value is not None]
            values.append(known[0] if known else np.nan)
        columns.append(np.array(values))
    a, r = (np.sqrt(12.0) * (ranked(columns) - 0.5)).T
    return np.stack([a, r, a**2, a * r, r**2, np.ones(len(a))], axis=1)


def fit(landscapes: list[Landscape]) -> Floats:
    """Return the factors of `terms`, [6]."""
    rows, targets = [], []
    for landscape in landscapes:
        weight = 1 / np.sqrt(len(landscape))
        for fraction in FITTED_AT:
            rows.append(weight * terms(landscape, fraction))
            targets.append(weight * np.sqrt(12.0) * (ranked([landscape.accuracies])[:, 0] - 0.5))
    x, y = np.concatenate(rows), np.concatenate(targets)
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y))


def regret(accuracies: Floats, chosen: npt.NDArray[np.int64]) -> float:
    """Return how far the best of the chosen models is below the best of all, in points."""
    return 100 * float(np.nanmax(accuracies) - np.nanmax(accuracies[chosen]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", type=Path)
    paths = parser.parse_args().tables or sorted(HERE.glob("*.parquet"))
    tables = [load(path) for path in paths]
    factors = ", ".join(f"{factor:.2f}" for factor in fit(tables)[:-1])
    sys.stdout.write(f"all tables: {factors}\n")
    for table in tables:
        group = GROUPS.get(table.name, table.name)
        factors_5 = fit([t for t in tables if GROUPS.get(t.name, t.name) != group])
        accuracies, rng = table.accuracies, np.random.default_rng(0)
        draws = [rng.choice(len(table), 10, replace=False) for _ in range(1000)]
        by_chance = float(np.mean([regret(accuracies, draw) for draw in draws]))
        sys.stdout.write(f"{table.name}: {by_chance:.2f} by chance;")
        for looks in (*((fraction,) for fraction in JUDGED_AT), FITTED_AT):
            scores = sum(terms(table, fraction) @ factors_5 for fraction in looks)
            order = np.argsort(-scores, kind="stable")
            known = ~np.isnan(accuracies)
            rho = spearmanr(scores[known], accuracies[known]).statistic
            five, ten = (regret(accuracies, order[:count]) for count in (5, 10))
            at = " and ".join(f"{fraction:.3g}" for fraction in looks)
            sys.stdout.write(f"  at {at}: rho {rho:.2f}, {five:.2f}, {ten:.2f}")
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
