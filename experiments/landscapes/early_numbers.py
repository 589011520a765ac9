"""What the numbers of an early look tell of the final accuracy, on complete tables.

For each table and look: Spearman's rank correlation with the final accuracy of the early probe
(which reads labels), and of what needs none: alpha, RankMe, the score that `race` uses with
`labels = "end"` (`sweep.prediction.few_labels.score`) and each part of the loss. The sign of a
correlation must be the same on all tables for a number to be of use without labels.

    python experiments/landscapes/early_numbers.py experiments/landscapes/*.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr

from sweep.core.text import to_text
from sweep.prediction.few_labels import score
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load

LOOKS = (1 / 32, 1 / 8, 1 / 4)
NAMED = ("accuracy", "alpha", "rankme")
LEFT_OUT = ("loss", "alpha_r2", "test_accuracy")


def at(landscape: Landscape, fraction: float) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the values of each measure of a look, name -> [m], NaN where there is none."""
    values: dict[str, list[float]] = {}
    for number, candidate in enumerate(landscape.candidates):
        for measure in (m for s in candidate.seen if s.fraction == fraction for m in s.measures):
            column = values.setdefault(measure.name, [np.nan] * len(landscape))
            column[number] = np.nan if measure.value is None else measure.value
    return {name: np.array(column) for name, column in values.items()}


def rows(path: Path) -> list[dict[str, Any]]:
    """Return a row for each look of a table that is near one of `LOOKS`."""
    landscape = load(path)
    final = landscape.accuracies
    near = {min(landscape.fractions, key=lambda f: abs(np.log(f / look))) for look in LOOKS}
    out = []
    for fraction in sorted(near):
        columns = at(landscape, fraction)
        columns["score"] = score(columns["alpha"], columns["rankme"])
        parts = [name for name in columns if name not in (*NAMED, "score", *LEFT_OUT)]
        row: dict[str, Any] = {"table": path.stem, "look": round(fraction, 3)}
        for name in (*NAMED, "score"):
            row["early probe" if name == "accuracy" else name] = _spearman(columns[name], final)
        row["parts of the loss"] = ", ".join(
            f"{name} {_spearman(columns[name], final)}" for name in sorted(parts)
        )
        out.append(row)
    return out


def _spearman(column: np.ndarray[Any, Any], final: np.ndarray[Any, Any]) -> float:
    known = ~np.isnan(column) & ~np.isnan(final)
    return round(float(spearmanr(column[known], final[known]).statistic), 2)


if __name__ == "__main__":
    table = [row for path in sys.argv[1:] for row in rows(Path(path))]
    print(to_text(pa.Table.from_pylist(table), "table"))  # noqa: T201
