"""What one early look is worth: the best of a few models that an early probe chose among more.

Draws candidates from the complete tables of four axes, keeps those of the highest accuracy at a
fraction of training, and takes the best of these at the end. `sweep start` plans such a round.

    python experiments/landscapes/halve_once.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

TABLES = ("cifar10_four", "digits_four")
LAMBD_D, LR = (1.0, 40.0), (7e-4, 1.5e-2)
"""The part of the tables' space near that of `sweep start`."""
ROUNDS = ((1, 1.0, 1), (2, 1.0, 2), (8, 1 / 32, 1), (16, 1 / 32, 2), (16, 1 / 16, 2))
"""Candidates drawn, fraction of training of the look, and models that are trained to the end."""
DRAWS = 3000


def main() -> None:
    """Print the mean accuracy of each round over each table, in percent."""
    for name in TABLES:
        accuracy = _accuracy(Path(__file__).parent / f"{name}.parquet")
        at_end = accuracy[1.0]
        lines = [f"{name}: {len(at_end)} models, the best {100 * at_end.max():.1f} %"]
        rng = np.random.default_rng(0)
        for count, fraction, kept in ROUNDS:
            best = [_best(accuracy[fraction], at_end, count, kept, rng) for _ in range(DRAWS)]
            lines.append(f"  best {kept} of {count} at {fraction:g}: {100 * np.mean(best):.1f} %")
        sys.stdout.write("\n".join(lines) + "\n")


def _accuracy(table: Path) -> dict[float, np.ndarray]:
    """Return fraction of training -> accuracy of the models near the space, in one order."""
    rows = [row for row in pq.read_table(table).to_pylist() if _is_near(row)]
    ids = sorted({row["trial_id"] for row in rows})
    known = {(row["trial_id"], row["fraction"]): row["accuracy"] for row in rows}
    fractions = {row["fraction"] for row in rows if row["accuracy"] is not None}
    whole = [i for i in ids if all(known.get((i, f)) is not None for f in fractions)]
    return {f: np.array([known[i, f] for i in whole]) for f in fractions}


def _is_near(row: dict[str, float]) -> bool:
    return LAMBD_D[0] <= row["lambd"] * row["d"] <= LAMBD_D[1] and LR[0] <= row["lr"] <= LR[1]


def _best(
    early: np.ndarray, at_end: np.ndarray, count: int, kept: int, rng: np.random.Generator
) -> float:
    drawn = rng.choice(len(at_end), min(count, len(at_end)), replace=False)
    chosen = drawn[np.argsort(-early[drawn])[:kept]]
    return float(at_end[chosen].max())


if __name__ == "__main__":
    main()
