"""The summary of a study without probes: models ranked by what is known without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pyarrow as pa

from sweep.core.text import one_line
from sweep.tables.results import Results

WORTH = (
    "Such a ranking is worth little: the first model by RankMe was better than a model drawn at "
    "random on three of nine complete tables, and so was the first by alpha. They were 0.3 to 41 "
    "points of accuracy below the best model. Probe a few models with labels if you can."
)
"""From `experiments/landscapes/label_free.py`; a test computes the numbers again."""

SHOWN = 5
"""Models shown of each ranking."""

SCORES: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "alpha": ("nearest 1 first", lambda value: -abs(value - 1)),
    "loss": ("lowest first", lambda value: -value),
}
"""How a measure ranks models: in words, and as a score; other measures rank the largest first."""


def of_study(results: Results) -> list[str]:
    """Return a line for each criterion, with its first models, and what such a ranking is worth."""
    trials = results.trials
    names = [n for n in results.config.criteria.names if n in trials.schema.names]
    return [*(_ranking(trials, name) for name in [*names, "loss"]), "", WORTH]


def _ranking(trials: pa.Table, name: str) -> str:
    words, score = SCORES.get(name, ("largest first", float))
    rows = trials.select(["trial_id", name]).to_pylist()
    known = [row for row in rows if row[name] is not None and math.isfinite(row[name])]
    ranked = sorted(known, key=lambda row: -score(row[name]))[:SHOWN]
    models = ", ".join(f"{row['trial_id']} ({row[name]:.4g})" for row in ranked) or "not measured"
    return one_line(f"{name}, {words}: {models}")
