"""What a ranking without labels is worth, on complete tables.

For each table and each number that is known without labels: Spearman's rank correlation with the
final accuracy, and how many points the model that the number ranks first is below the best model.
`random` is the mean over all models. Models without an alpha (collapsed) are left out.

    python experiments/landscapes/label_free.py experiments/landscapes/*.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr

from sweep.core.text import to_text
from sweep.replay.landscape_files import load
from sweep.replay.statistics import at_end

CHOICES = {
    "alpha, nearest 1": ("alpha", lambda value: -abs(value - 1)),
    "alpha, largest": ("alpha", lambda value: value),
    "RankMe, largest": ("rankme", lambda value: value),
    "loss, lowest": ("loss", lambda value: -value),
}
"""How models are ranked: the number, and a score that is the higher the better."""


def worth(path: Path) -> list[dict[str, Any]]:
    """Return one row for each ranking of a table's models."""
    models = [c for c in load(path).candidates if c.accuracy is not None and not c.broken]
    accuracy = 100 * np.array([model.accuracy for model in models])
    top = float(accuracy.max())
    rows = [_row(path.stem, "random", len(models), None, top - float(accuracy.mean()))]
    for label, (name, score) in CHOICES.items():
        values = np.array([at_end(model, name) for model in models], dtype=float)
        known = ~np.isnan(values)
        if not known.any():
            continue
        scores = np.array([score(value) for value in values[known]])
        correlation = float(spearmanr(scores, accuracy[known]).statistic)
        lost = top - float(accuracy[known][int(np.argmax(scores))])
        rows.append(_row(path.stem, label, int(known.sum()), correlation, lost))
    return rows


def _row(table: str, ranking: str, models: int, spearman: float | None, lost: float) -> Any:
    return {
        "table": table,
        "models": models,
        "ranking": ranking,
        "spearman": None if spearman is None else round(spearman, 2),
        "points_below_the_best": round(lost, 2),
    }


if __name__ == "__main__":
    table = [row for path in sys.argv[1:] for row in worth(Path(path))]
    print(to_text(pa.Table.from_pylist(table), "table"))  # noqa: T201
