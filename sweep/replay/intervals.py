"""95 % intervals of a replay's figures: symmetric subsampling intervals over candidates.

Every rule plays the same draws, each of half of a table's points without replacement (seeds of one
point together). A draw with replacement would hold copies of a candidate; a copy tells nothing new
to a rule that has found its twin, so such a bootstrap is biased against rules that learn.

The spread of a figure over draws of m out of n points, times sqrt(m / (n - m)), estimates its
spread over tables of n points; with half of the points the factor is 1. Deviations are from the
mean of the draws, because a smaller table has another mean regret. The interval is the figure plus
or minus the 95 % quantile of their absolute values. A draw is played in a few orders only, so the
chance of the orders widens the interval a little.

Source: Politis, Romano and Wolf 1999, Subsampling (symmetric intervals); Wu 1990, On the asymptotic
properties of the jackknife histogram (the factor where m is not small against n).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWN = 0.5
"""Share of the points in a draw."""


def drawn_points(points: int) -> int:
    """Return m, how many of a table's points a draw holds; 0 if the table has only one."""
    return min(max(1, round(DRAWN * points)), points - 1)


def factor(points: int) -> float:
    """Return sqrt(m / (n - m)); NaN if the table has only one point."""
    drawn = drawn_points(points)
    return math.sqrt(drawn / (points - drawn)) if drawn else math.nan


def margin(values: Iterable[float], scale: float) -> float:
    """Return half the width of the interval of a figure; NaN where there are not two draws.

    Args:
        values: the figure in each draw; NaN where a draw has none.
        scale: `factor` of the table.
    """
    finite = np.array([value for value in values if math.isfinite(value)])
    return float(margins(finite[:, None], scale)[0])


def margins(values_DB: Floats, scale: float) -> Floats:
    """Return half the width of the interval of each of B figures over D draws, [B]."""
    if len(values_DB) < 2:
        return np.full(values_DB.shape[1], np.nan)
    deviations = np.abs(values_DB - values_DB.mean(0))
    return np.asarray(scale * np.quantile(deviations, 0.95, axis=0))
