"""What a landscape shows: which criteria go with accuracy, and numbers over (d, lambda). Pure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from sweep.replay.landscape import Landscape, Recorded


def correlations(landscape: Landscape, *, draws: int = 2000, seed: int = 0) -> pa.Table:
    """Return each criterion's rank correlation with accuracy at the end of training.

    Columns: criterion, candidates, spearman, and its 95 % interval (lo, hi) by drawing the
    candidates anew. `test_accuracy` among them says how far accuracy agrees with itself.
    """
    names = dict.fromkeys(
        m.name for c in landscape.candidates for s in c.seen if s.final for m in s.measures
    )
    rng = np.random.default_rng(seed)
    rows = []
    for name in names:
        values = [at_end(c, name) for c in landscape.candidates]
        pairs = np.stack([values, landscape.accuracies], axis=1)
        pairs = pairs[~np.isnan(pairs).any(1)]
        if name == "accuracy" or len(pairs) < 3:
            continue
        drawn = [_spearman(pairs[rng.integers(len(pairs), size=len(pairs))]) for _ in range(draws)]
        spearman = _spearman(pairs)
        known = [value for value in drawn if not math.isnan(value)] or [math.nan]
        lo, hi = np.quantile(known, [0.025, 0.975])
        rows.append(
            {"criterion": name, "candidates": len(pairs), "spearman": spearman, "lo": lo, "hi": hi}
        )
    return pa.Table.from_pylist(rows)


def pivot(landscape: Landscape, name: str) -> pa.Table | None:
    """Return a number at the end of training over (d, lambda), the mean over seeds and others.

    One row for each lambda, one column for each d; None where these two do not both vary.
    """
    over = cells(landscape, name, "lambd", "d")
    rows, columns = (sorted({where[i] for where in over}) for i in (0, 1))
    if len(rows) < 2 or len(columns) < 2:
        return None
    return pa.Table.from_pylist(
        [
            {"lambd": row, **{f"d={c:g}": _brief(over.get((row, c))) for c in columns}}
            for row in rows
        ]
    )


def cells(landscape: Landscape, name: str, x: str, y: str) -> dict[tuple[float, float], float]:
    """Return a number at the end of training over two fields, the mean over seeds and others.

    NaN where no candidate of a point has it; candidates without one of the fields are left out.
    """
    found: dict[tuple[float, float], list[float]] = {}
    for candidate in landscape.candidates:
        if {x, y} <= candidate.point.keys():
            where = (candidate.point[x], candidate.point[y])
            found.setdefault(where, []).append(at_end(candidate, name))
    known = {where: [v for v in values if not math.isnan(v)] for where, values in found.items()}
    return {where: float(np.mean(v)) if v else math.nan for where, v in known.items()}


def varied(landscape: Landscape) -> list[str]:
    """Return the fields of more than one value, in the table's order."""
    values: dict[str, set[float]] = {}
    for candidate in landscape.candidates:
        for name, value in candidate.point.items():
            values.setdefault(name, set()).add(value)
    return [name for name, several in values.items() if len(several) > 1]


def _brief(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(f"{value:.4g}")


def _spearman(pairs: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    a, b = rankdata(pairs[:, 0]), rankdata(pairs[:, 1])
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def at_end(candidate: Recorded, name: str) -> float:
    """Return a number at the end of training; NaN where there is none."""
    measure = candidate.at_end(name)
    return math.nan if measure is None or measure.value is None else measure.value
