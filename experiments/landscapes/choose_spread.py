"""Choose a constant of the rule `goldilocks` with one table left out: `SPREAD`.

For each table, every value is replayed. Its score is the mean regret after 10 to 20 probes, divided
by the expected regret of as many probes of random models. A table is judged by the value whose mean
score over the other tables is lowest.

    python experiments/landscapes/choose_spread.py experiments/landscapes/*.parquet --orders 60

Tables may be .csv files too, with the columns of `sweep replay`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from sweep.core.errors import UserError
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load
from sweep.replay.simulate import simulate
from sweep.rules import goldilocks

SPREADS = (0.5, 0.7, 0.9)
KEPT = 0.85
PROBES = range(10, 21)


def main() -> None:
    """Print the score of each value on each table, and the choice without each table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--orders", type=int, default=60)
    arguments = parser.parse_args()
    tables = [load(path).complete() for path in arguments.tables]
    scores_TS = np.array(
        [[score(table, spread, arguments.orders) for spread in SPREADS] for table in tables]
    )
    spreads = "".join(f"{spread:8}" for spread in SPREADS)
    sys.stdout.write(f"{'table':24}{spreads}  chosen without the table, its score\n")
    for row, table in enumerate(tables):
        others = np.delete(scores_TS, row, axis=0).mean(0) if len(tables) > 1 else scores_TS[row]
        choice = int(np.argmin(others))
        scores = "".join(f"{value:8.2f}" for value in scores_TS[row])
        chosen = f"{SPREADS[choice]}, {scores_TS[row, choice]:.2f}"
        sys.stdout.write(f"{table.name:24}{scores}  {chosen}\n")


def score(table: Landscape, spread: float, orders: int) -> float:
    """Return the mean regret at `PROBES`, relative to that of random models."""
    goldilocks.SPREAD = spread
    ours, random = [], []
    for order in range(orders):
        rng = np.random.default_rng([0, 0, order])
        kept = rng.permutation(len(table))[: round(KEPT * len(table))]
        part = table.part(kept.tolist())
        rule = goldilocks.Goldilocks(seed=order)
        study, _ = simulate(part, rule, range(len(part)), parallel=10)
        accuracies = part.accuracies[~np.isnan(part.accuracies)]
        probed = study.history.column("accuracy")[study.history.probed]
        regrets = accuracies.max() - np.maximum.accumulate(probed)
        ours += [regrets[min(probes, len(regrets)) - 1] for probes in PROBES]
        random += [expected_regret(accuracies, probes) for probes in PROBES]
    return float(np.mean(ours) / np.mean(random))


def expected_regret(accuracies: np.ndarray, probes: int) -> float:
    """Return the expected regret of the best of so many models, drawn without replacement."""
    falling = np.sort(accuracies)[::-1]
    regret, not_drawn = 0.0, 1.0
    for place, accuracy in enumerate(falling):
        chance = min(1.0, probes / (len(falling) - place))
        regret += not_drawn * chance * float(falling[0] - accuracy)
        not_drawn *= 1 - chance
    return regret


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
