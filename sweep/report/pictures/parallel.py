"""Parallel coordinates: all that varies, with alpha and accuracy, one line for each model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from sweep.report.fields import Field, Row, Spec
from sweep.report.pictures.base import CHOSEN, Picture, all_fields, faded, trial_rows
from sweep.report.study import StudyData
from sweep.report.theme import SCHEME, WINNER

MOST_AXES = 12
MOST_LINES = 2000
"""More lines hide each other; probed models are kept first, then others evenly."""


def parallel(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if fewer than two fields are known."""
    every = trial_rows(studies)
    rows = _most_telling(every)
    fields = [f for f in all_fields(studies) if _is_axis(f)]
    fields = [*[f for f in fields if f.role == "varied"][:MOST_AXES],
              *sorted((f for f in fields if f.role == "measure"), key=_measure_order)]  # fmt: skip
    if len(fields) < 2 or not rows:
        return None
    places = {f.name: _places(f, rows) for f in fields}
    points: list[Row] = [
        {"id": row["id"], "trial_id": row["trial_id"], "axis": f.heading, "column": f.name,
         "place": place, "accuracy": row.get("accuracy"), "winner": row["winner"]}
        for row in rows
        for f in fields
        if (place := places[f.name](row.get(f.name))) is not None
    ]  # fmt: skip
    return Picture(
        title="All that varies",
        note="One line for each model, coloured by accuracy; grey lines were not probed. Each axis "
        "runs from its smallest value to its largest. Orange: the winner. Drag over an axis to "
        "filter." + (f" {len(rows)} of {len(every)} models are shown." if rows != every else ""),
        spec=_spec([f.heading for f in fields], len(rows)),
        data={"points": points, "ends": [end for f in fields for end in _ends(f, rows)]},
        marks=len(points),
        wide=True,
    )


def _most_telling(rows: list[Row]) -> list[Row]:
    """Return at most `MOST_LINES` rows: the probed ones, and others evenly over the order."""
    if len(rows) <= MOST_LINES:
        return rows
    probed = sorted(
        (row for row in rows if row.get("accuracy") is not None),
        key=lambda row: row["accuracy"],
        reverse=True,
    )[:MOST_LINES]
    others = [row for row in rows if row.get("accuracy") is None]
    room = MOST_LINES - len(probed)
    return [*probed, *others[:: max(1, -(-len(others) // room))]] if room else probed


def _measure_order(f: Field) -> int:
    """Return the place of a measure: the accuracy is the last axis."""
    return ("alpha", "rankme", "accuracy").index(f.name)


def _is_axis(f: Field) -> bool:
    return f.role == "varied" or f.name in ("alpha", "rankme", "accuracy")


def _places(f: Field, rows: list[Row]) -> Callable[[Any], float | None]:
    """Return a function from a value to its place on the axis, 0 to 1, or None."""
    values = [row[f.name] for row in rows if row.get(f.name) is not None]
    if f.kind == "name":
        names = sorted({str(value) for value in values})
        step = 1 / max(1, len(names) - 1)
        where = {name: number * step for number, name in enumerate(names)}
        return lambda value: None if value is None else where[str(value)]
    scale = math.log if f.log else float
    lo, hi = (scale(end(values)) for end in (min, max)) if values else (0.0, 1.0)
    width = (hi - lo) or 1.0
    return lambda value: None if value is None else round((scale(value) - lo) / width, 4)


def _ends(f: Field, rows: list[Row]) -> list[Row]:
    """Return the labels at the two ends of an axis."""
    values = [row[f.name] for row in rows if row.get(f.name) is not None]
    if not values:
        return []
    labels: tuple[str, ...]
    if f.kind == "name":
        names = sorted({str(value) for value in values})
        labels = (names[0], names[-1])
    else:
        labels = tuple(f"{v:.1%}" if f.percent else f"{v:.4g}" for v in (min(values), max(values)))
    return [
        {"axis": f.heading, "place": float(end), "label": label[:16]}
        for end, label in enumerate(labels)
    ]


def _spec(axes: list[str], count: int) -> Spec:
    x: Spec = {
        "field": "axis",
        "type": "nominal",
        "title": None,
        "sort": axes,
        "scale": {"type": "point", "padding": 0.4},
        "axis": {"orient": "top", "labelAngle": 0, "labelFontSize": 12, "labelFontWeight": 600,
                 "domain": False, "ticks": False, "grid": True, "labelPadding": 22,
                 "labelLimit": 110},
    }  # fmt: skip
    y: Spec = {
        "field": "place",
        "type": "quantitative",
        "scale": {"domain": [-0.03, 1.03], "nice": False},
        "axis": None,
    }
    shade: Spec = {
        "field": "accuracy",
        "type": "quantitative",
        "title": "validation accuracy (%)",
        "scale": {"scheme": SCHEME, "zero": False},
        "legend": {"type": "gradient", "format": "~%", "gradientLength": 180},
    }
    return {
        "width": "container",
        "height": 300,
        "padding": {"left": 5, "right": 5, "top": 5, "bottom": 16},
        "view": {"stroke": None},
        "params": [CHOSEN],
        "resolve": {"legend": {"color": "independent"}},
        "layer": [
            {
                "data": {"name": "points"},
                "mark": {"type": "line", "strokeWidth": 1.3, "invalid": "show",
                         "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "y": y,
                    "detail": {"field": "id"},
                    "color": shade,
                    "opacity": faded(0.7 if count < 100 else 0.3, 0.03),
                },
            },
            {
                "data": {"name": "points"},
                "transform": [{"filter": "datum.winner"}],
                "mark": {"type": "line", "strokeWidth": 2.6, "color": WINNER},
                "encoding": {"x": x, "y": y, "detail": {"field": "id"}},
            },
            {
                "data": {"name": "points"},
                "params": [{"name": "brush", "select": {"type": "interval"}}],
                "mark": {"type": "point", "filled": True, "size": 18, "aria": False,
                         "invalid": "show", "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {**shade, "legend": None},
                    "opacity": faded(0.8, 0.05),
                },
            },
            {
                "data": {"name": "ends"},
                "transform": [{"filter": "datum.place > 0.5"}],
                "mark": {"type": "text", "dy": -9, "baseline": "bottom", "fontSize": 11},
                "encoding": {"x": x, "y": y, "text": {"field": "label"}},
            },
            {
                "data": {"name": "ends"},
                "transform": [{"filter": "datum.place < 0.5"}],
                "mark": {"type": "text", "dy": 9, "baseline": "top", "fontSize": 11},
                "encoding": {"x": x, "y": y, "text": {"field": "label"}},
            },
        ],
    }  # fmt: skip
