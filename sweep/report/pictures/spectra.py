"""Eigenspectra of the features, log-log, with the ranks to which alpha is fitted."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.fields import Row, Spec, log_axis
from sweep.report.pictures.base import CHOSEN, Picture, faded, ident
from sweep.report.samples import MOST_SPECTRA
from sweep.report.study import StudyData
from sweep.report.theme import SCHEME, WINNER


def spectra(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if no spectrum is known."""
    rows: list[Row] = []
    for study in studies:
        trials = {row["trial_id"]: row for row in study.rows}
        for point in study.spectra:
            trial = trials[point["trial_id"]]
            about = {"id": ident(study, point["trial_id"]), "alpha": trial.get("alpha")}
            rows.append({**point, **about, "winner": trial["winner"]})
    if not rows:
        return None
    windows = sorted({study.window for study in studies if study.window is not None})
    lines = len({row["id"] for row in rows})
    note = "One line for each model. Orange: the winner."
    if len(windows) == 1:
        note += f" Shaded: the ranks {windows[0][0]} to {windows[0][1]}, to which alpha is fitted."
    if lines == MOST_SPECTRA:
        note += f" Only the {MOST_SPECTRA} models of the highest accuracy are shown."
    return Picture(
        title="Eigenspectra",
        note=note,
        spec=_spec(rows),
        data={
            "spectra": rows,
            "window": [{"first": w[0], "last": w[1]} for w in windows if len(windows) == 1],
        },
        marks=len(rows) // 10,
    )


def _range(rows: list[Row], name: str) -> tuple[float, float]:
    values = [row[name] for row in rows]
    return min(values), max(values)


def _spec(rows: list[Row]) -> Spec:
    x: Spec = {
        "field": "rank",
        "type": "quantitative",
        "title": "rank of the eigenvalue",
        "scale": {"type": "log", "nice": False},
        "axis": log_axis(*_range(rows, "rank")),
    }
    y: Spec = {
        "field": "eigenvalue",
        "type": "quantitative",
        "title": "eigenvalue of the features' covariance",
        "scale": {"type": "log", "nice": False},
        "axis": log_axis(*_range(rows, "eigenvalue")),
    }
    shade: Spec = {
        "field": "alpha",
        "type": "quantitative",
        "title": "alpha",
        "scale": {"scheme": SCHEME, "zero": False},
        "legend": {"gradientLength": 180},
    }
    return {
        "width": "container",
        "height": 330,
        "params": [CHOSEN],
        "layer": [
            {
                "data": {"name": "window"},
                "mark": {"type": "rect", "color": "#8a6fd1", "opacity": 0.1, "aria": False},
                "encoding": {
                    "x": {"field": "first", "type": "quantitative"},
                    "x2": {"field": "last"},
                },
            },
            {
                "data": {"name": "spectra"},
                "mark": {"type": "line", "strokeWidth": 1.2, "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "y": y,
                    "detail": {"field": "id"},
                    "color": shade,
                    "opacity": faded(0.75, 0.05),
                },
            },
            {
                "data": {"name": "spectra"},
                "transform": [{"filter": "datum.winner"}],
                "mark": {"type": "line", "strokeWidth": 2.6, "color": WINNER},
                "encoding": {"x": x, "y": y, "detail": {"field": "id"}},
            },
        ],
    }
