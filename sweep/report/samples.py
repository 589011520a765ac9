"""Curves and spectra with few enough points for a page. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from sweep.core.events import Event, Observed
from sweep.report.fields import Row

CURVE_POINTS = 50
"""The most points of one learning curve."""
MOST_CURVE_POINTS = 40_000
"""The most points of all learning curves of one measure."""
SPECTRUM_RANKS = 48
MOST_SPECTRA = 150
"""More lines than this hide each other; the models of the highest accuracy are kept."""


def curves(events: Iterable[Event]) -> list[Row]:
    """Return rows with trial_id, measure, fraction and value: every look at a model.

    A measure that was taken only once of each trial has no curve.
    """
    points: dict[tuple[str, str], dict[float, float]] = {}
    for event in events:
        if isinstance(event, Observed) and event.observation.stage != "tested":
            for measure in event.observation.measures:
                if measure.value is not None:
                    key = (measure.name, event.trial_id)
                    points.setdefault(key, {})[event.observation.fraction] = measure.value
    several = {name for (name, _), curve in points.items() if len(curve) > 1}
    made: list[Row] = []
    for name in sorted(several, key=lambda n: (n not in ("accuracy", "loss"), n)):
        of_name = {trial: curve for (measure, trial), curve in points.items() if measure == name}
        most = max(4, min(CURVE_POINTS, MOST_CURVE_POINTS // len(of_name)))
        for trial_id, curve in of_name.items():
            fractions = sorted(curve)
            kept = np.unique(np.linspace(0, len(fractions) - 1, most).round().astype(int))
            made += [
                {"trial_id": trial_id, "measure": name, "fraction": round(fractions[i], 4),
                 "value": float(f"{curve[fractions[i]]:.5g}")}
                for i in kept
            ]  # fmt: skip
    return made


def spectra(table: pa.Table, rows: list[Row]) -> list[Row]:
    """Return rows with trial_id, rank and eigenvalue of each model's last spectrum."""
    order = {
        row["trial_id"]: (row["accuracy"] is None, -(row["accuracy"] or 0.0), number)
        for number, row in enumerate(rows)
    }
    latest = dict(zip(table["trial_id"].to_pylist(), range(table.num_rows), strict=True))
    chosen = sorted((t for t in latest if t in order), key=lambda t: order[t])[:MOST_SPECTRA]
    made: list[Row] = []
    for trial_id in chosen:
        values = np.array(table["eigenvalues"][latest[trial_id]].values, dtype=np.float64)
        if len(values) == 0:
            continue
        ranks = np.unique(np.geomspace(1, len(values), SPECTRUM_RANKS).round().astype(int))
        made += [
            {"trial_id": trial_id, "rank": int(rank), "eigenvalue": float(f"{value:.4g}")}
            for rank, value in zip(ranks, values[ranks - 1], strict=True)
            if value > 0
        ]
    return made
