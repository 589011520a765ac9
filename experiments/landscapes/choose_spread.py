"""Choose a constant of the rule `goldilocks` with one table left out: `SPREAD`.

For each table, every value is replayed. Its score is the mean regret after 10 to 20 probes, divided
by the expected regret of as many probes of random models. A table is judged by the value whose mean
score over the other tables is lowest. For each value, the script also prints the regret at the
rule's end, and by how much it lies below the expected regret of as many probes of random models.

    python experiments/landscapes/choose_spread.py experiments/landscapes/*.parquet --orders 40

Tables may be .csv files too, with the columns of `sweep replay`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sweep.core.errors import UserError
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load
from sweep.replay.simulate import simulate
from sweep.rules import goldilocks

Floats = npt.NDArray[np.float64]

SPREADS = (0.5, 0.7, 0.9)
KEPT = 0.85
PROBES = range(10, 21)


def main() -> None:
    """Print the figures of each value on each table, and the choice without each table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--spreads", nargs="+", type=float, default=SPREADS)
    arguments = parser.parse_args()
    scores_TS = np.zeros((len(arguments.tables), len(arguments.spreads)))
    for row, path in enumerate(arguments.tables):
        table = load(path).complete()
        for column, spread in enumerate(arguments.spreads):
            figures = replay(table, spread, arguments.orders)
            scores_TS[row, column] = figures.score
            sys.stdout.write(f"{table.name:24} spread {spread}: {figures}\n")
            sys.stdout.flush()
    for row, path in enumerate(arguments.tables):
        others = np.delete(scores_TS, row, axis=0) if len(scores_TS) > 1 else scores_TS
        choice = arguments.spreads[int(np.argmin(others.mean(0)))]
        sys.stdout.write(f"{path.stem:24} the other tables choose {choice}\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The figures of one value on one table; regrets are in points, each for every order.

    Args:
        score: regret at `PROBES`, relative to that of random models.
        regrets, random: at the rule's end; of as many random models.
        probes: at the rule's end.
    """

    score: float
    regrets: Floats
    random: Floats
    probes: Floats

    def __str__(self) -> str:
        less = self.random - self.regrets
        half = 1.96 * less.std(ddof=1) / np.sqrt(len(less)) if len(less) > 1 else np.nan
        return (
            f"score {self.score:.2f}, regret {self.regrets.mean():.2f} at "
            f"{self.probes.mean():.1f} probes, random {self.random.mean():.2f}, less by "
            f"{less.mean():.2f} ({less.mean() - half:.2f} to {less.mean() + half:.2f})"
        )


def replay(table: Landscape, spread: float, orders: int) -> Figures:
    """Return the figures of a value of `SPREAD` over so many orders of a table."""
    goldilocks.SPREAD = spread
    early, early_random, ends = [], [], []
    for order in range(orders):
        rng = np.random.default_rng([0, 0, order])
        kept = rng.permutation(len(table))[: round(KEPT * len(table))]
        part = table.part(kept.tolist())
        rule = goldilocks.Goldilocks(seed=order)
        study, _ = simulate(part, rule, range(len(part)), parallel=10)
        accuracies = part.accuracies[~np.isnan(part.accuracies)]
        probed = study.history.column("accuracy")[study.history.probed]
        regrets = 100 * (accuracies.max() - np.maximum.accumulate(probed))
        early += [regrets[min(probes, len(regrets)) - 1] for probes in PROBES]
        early_random += [expected_regret(accuracies, probes) for probes in PROBES]
        ends.append((regrets[-1], expected_regret(accuracies, len(probed)), len(probed)))
    last, random, probes = np.array(ends).T
    score = float(np.mean(early) / np.mean(early_random))
    return Figures(score=score, regrets=last, random=random, probes=probes)


def expected_regret(accuracies: Floats, probes: int) -> float:
    """Return the expected regret of the best of so many models, drawn without replacement."""
    falling = 100 * np.sort(accuracies)[::-1]
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
