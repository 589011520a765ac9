"""The response of accuracy to alpha: a fit with its band, for a picture. Pure."""

from __future__ import annotations

import numpy as np

from sweep.prediction.response import MIN_KNOWN, predict, ranked
from sweep.report.fields import Row

MOST_KNOWN = 400
"""More probed models are thinned evenly over alpha: the fit takes their cube."""
POINTS = 80


def response(rows: list[Row]) -> list[Row]:
    """Return rows with alpha, mean, lo and hi: the expected accuracy, and that of 95 % of models.

    It is the fit of `sweep.prediction.response` to alpha alone. There are no rows for fewer than
    four probed models of different alphas.

    Args:
        rows: trials, of which those with alpha are used.
    """
    measured = sorted(
        (row for row in rows if row.get("alpha") is not None), key=lambda row: row["alpha"]
    )
    probed = [i for i, row in enumerate(measured) if row.get("accuracy") is not None]
    if len(probed) > MOST_KNOWN:
        kept = np.linspace(0, len(probed) - 1, MOST_KNOWN).round().astype(int)
        probed = [probed[i] for i in kept]
    alphas = np.array([row["alpha"] for row in measured], dtype=np.float64)
    if len(probed) < MIN_KNOWN or len(np.unique(alphas[probed])) < MIN_KNOWN:
        return []
    accuracies = np.array([measured[i]["accuracy"] for i in probed], dtype=np.float64)
    sets = {"alpha": ranked([alphas]), "none": np.zeros((len(alphas), 0))}
    prediction = predict(sets, np.array(probed), accuracies)
    mean, sd = prediction.mean, prediction.sd
    drawn = np.unique(np.linspace(0, len(alphas) - 1, POINTS).round().astype(int))
    lo, hi = np.maximum(0.0, mean - 1.96 * sd), np.minimum(1.0, mean + 1.96 * sd)
    names = ("alpha", "mean", "lo", "hi")
    columns = (alphas[drawn], mean[drawn], lo[drawn], hi[drawn])
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns, strict=True)]
