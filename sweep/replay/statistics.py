"""Statistics of a landscape: criteria against accuracy, and numbers over (d, lambda). Pure."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import (
    ConstantInputWarning,
    DegenerateDataWarning,
    bootstrap,
    pearsonr,
    rankdata,
)

from sweep.replay.landscape import Landscape, Recorded

Floats = npt.NDArray[np.float64]


def correlations(landscape: Landscape, *, draws: int = 2000, seed: int = 0) -> pa.Table:
    """Return each criterion's rank correlation with accuracy at the end of training.

    Args:
        landscape: its candidates that lack a criterion or an accuracy are left out.
        draws: resamples of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Columns: criterion, candidates, spearman, and its 95 % percentile bootstrap interval (lo,
        hi) over candidates; NaN where all values are equal. The row `test_accuracy` shows how
        well the accuracies of the two splits agree.
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
        spearman, lo, hi = _spearman_interval(*pairs.T, draws=draws, rng=rng)
        rows.append(
            {"criterion": name, "candidates": len(pairs), "spearman": spearman, "lo": lo, "hi": hi}
        )
    return pa.Table.from_pylist(rows)


def pivot(landscape: Landscape, name: str) -> pa.Table | None:
    """Return a measure at the end of training over two fields, as means over all other fields.

    The fields are the first two of `main_fields`: one column for each value of the first, one row
    for each value of the second. None unless two fields vary.
    """
    fields = main_fields(landscape)
    if len(fields) < 2:
        return None
    x, y = fields
    over = cells(landscape, name, y, x)
    rows, columns = (sorted({where[i] for where in over}) for i in (0, 1))
    if len(rows) < 2 or len(columns) < 2:
        return None
    return pa.Table.from_pylist(
        [{y: row, **{f"{x}={c:g}": _brief(over.get((row, c))) for c in columns}} for row in rows]
    )


def cells(landscape: Landscape, name: str, x: str, y: str) -> dict[tuple[float, float], float]:
    """Return a measure at the end of training over two fields, as means over all other fields.

    NaN where no candidate of a cell has the measure. Candidates without one of the fields are left
    out.
    """
    groups: dict[tuple[float, float], list[float]] = {}
    for candidate in landscape.candidates:
        if {x, y} <= candidate.point.keys():
            cell = (candidate.point[x], candidate.point[y])
            groups.setdefault(cell, []).append(at_end(candidate, name))
    known = {cell: [v for v in values if not math.isnan(v)] for cell, values in groups.items()}
    return {cell: float(np.mean(v)) if v else math.nan for cell, v in known.items()}


def main_fields(landscape: Landscape) -> list[str]:
    """Return d and lambda if both vary, else the first two fields that vary; seeds do not count."""
    names = [name for name in varied(landscape) if name != "seed"]
    return ["d", "lambd"] if {"d", "lambd"} <= {*names} else names[:2]


def varied(landscape: Landscape) -> list[str]:
    """Return the fields that have more than one value, in the table's order."""
    values: dict[str, set[float]] = {}
    for candidate in landscape.candidates:
        for name, value in candidate.point.items():
            values.setdefault(name, set()).add(value)
    return [name for name, several in values.items() if len(several) > 1]


def _brief(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(f"{value:.4g}")


def _spearman_interval(
    x_N: Floats, y_N: Floats, *, draws: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return Spearman's correlation, and its interval without the draws that have none."""
    spearman = float(_spearman(x_N, y_N))
    if math.isnan(spearman):
        return math.nan, math.nan, math.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DegenerateDataWarning)  # NaN among the draws
        drawn = bootstrap(
            (x_N, y_N), _spearman, paired=True, n_resamples=draws, method="percentile", rng=rng
        ).bootstrap_distribution
    lo, hi = np.nanquantile(drawn, [0.025, 0.975])
    return spearman, float(lo), float(hi)


def _spearman(x: Floats, y: Floats, axis: int = -1) -> Floats:
    """Return Spearman's correlation along an axis, NaN where all values are equal.

    Equivalent to `scipy.stats.spearmanr(x, y).statistic`, which takes no batch of samples.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConstantInputWarning)
        result = pearsonr(rankdata(x, axis=axis), rankdata(y, axis=axis), axis=axis)
    correlation: Floats = result.statistic
    return correlation


def at_end(candidate: Recorded, name: str) -> float:
    """Return a candidate's measure at the end of training, NaN if it has none."""
    measure = candidate.at_end(name)
    return math.nan if measure is None or measure.value is None else measure.value
