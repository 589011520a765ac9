"""Accuracy against alpha: the probed models, the zone, the fitted response, the unprobed models."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.fields import Row, Spec
from sweep.report.pictures.base import CHOSEN, Picture, dot_size, faded, trial_rows
from sweep.report.response import response
from sweep.report.study import StudyData, zone_of
from sweep.report.theme import ACCENT, WINNER


def against_alpha(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if no alpha is known."""
    rows = [row for row in trial_rows(studies) if row.get("alpha") is not None]
    if not rows:
        return None
    zones = [zone for study in studies if (zone := zone_of(study)) is not None]
    alphas = [row["alpha"] for row in rows]
    bounds = [
        {"lo": min(alphas) if z.lo is None else z.lo, "hi": max(alphas) if z.hi is None else z.hi}
        for z in zones
    ]
    chances = sorted({study.chance for study in studies if study.chance is not None})
    return of_rows(
        rows,
        zone=bounds if len(studies) == 1 else [],
        chance=chances[0] if len(chances) == 1 else None,
        several=len(studies) > 1,
    )


def of_rows(
    rows: list[Row], *, zone: list[Row], chance: float | None = None, several: bool = False
) -> Picture:
    """Return the picture of rows that have an alpha.

    Args:
        rows: trials, with `id` and `winner`.
        zone: at most one row with `lo` and `hi`.
        chance: the accuracy of a guess.
        several: True if the rows belong to several studies, which are coloured.
    """
    fitted = [] if several else response(rows)
    probed = sum(row.get("accuracy") is not None for row in rows)
    floor = _floor(rows, chance)
    return Picture(
        title="Accuracy against alpha",
        note=_note(fitted, zone, chance, floor, unprobed=len(rows) - probed),
        spec=_spec(dot_size(len(rows)), several=several, floor=floor),
        data={
            "trials": rows,
            "zone": zone,
            "response": fitted,
            "chance": [{"chance": chance}] if chance is not None and floor is None else [],
        },
        marks=2 * len(rows) + len(fitted),
    )


def _floor(rows: list[Row], chance: float | None) -> float | None:
    """Return the chance level if all models are far above it, so that the axis leaves it out."""
    known = [row["accuracy"] for row in rows if row.get("accuracy") is not None]
    if chance is None or not known:
        return None
    return chance if min(known) - chance > max(known) - min(known) else None


def _note(
    fitted: list[Row], zone: list[Row], chance: float | None, floor: float | None, *, unprobed: int
) -> str:
    parts = ["Bars: 95 % interval of an accuracy. Ring: the winner."]
    if fitted:
        parts.append("Line and band: the fitted response, and where it expects 95 % of models.")
    if zone:
        parts.append("Shaded: the zone of alpha in which the rule last looked.")
    if unprobed:
        parts.append("Ticks on the axis: models that were measured and not probed.")
    if floor is not None:
        parts.append(f"A guess is right for {floor:.1%}, below this axis.")
    elif chance is not None:
        parts.append("Dashed: a guess.")
    return " ".join(parts)


def _spec(size: int, *, several: bool, floor: float | None) -> Spec:
    y: Spec = {
        "field": "accuracy",
        "type": "quantitative",
        "title": "validation accuracy (%)",
        "scale": {"zero": False, "padding": 14},
        "axis": {"format": "%"},
    }
    x: Spec = {
        "field": "alpha",
        "type": "quantitative",
        "title": "alpha (decay exponent of the eigenspectrum)",
        "scale": {"zero": False, "padding": 14},
    }
    shade: Spec = {"value": ACCENT}
    if several:
        shade = {"field": "study", "type": "nominal", "title": "study"}
    return {
        "width": "container",
        "height": 330,
        "params": [CHOSEN],
        "layer": [
            {
                "data": {"name": "zone"},
                "mark": {"type": "rect", "color": ACCENT, "opacity": 0.07, "aria": False},
                "encoding": {"x": {"field": "lo", "type": "quantitative"}, "x2": {"field": "hi"}},
            },
            {
                "data": {"name": "response"},
                "mark": {"type": "area", "color": ACCENT, "opacity": 0.13, "aria": False},
                "encoding": {"x": x, "y": {**y, "field": "lo"}, "y2": {"field": "hi"}},
            },
            {
                "data": {"name": "response"},
                "mark": {"type": "line", "color": ACCENT, "opacity": 0.7, "strokeWidth": 1.5},
                "encoding": {"x": x, "y": {**y, "field": "mean"}},
            },
            {
                "data": {"name": "chance"},
                "mark": {"type": "rule", "strokeDash": [5, 4], "strokeWidth": 1.2},
                "encoding": {"y": {"field": "chance", "type": "quantitative"}},
            },
            {
                "data": {"name": "trials"},
                "transform": [{"filter": "isValid(datum.accuracy_lo)"}],
                "mark": {"type": "rule", "strokeWidth": 1, "aria": False},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "accuracy_lo"},
                    "y2": {"field": "accuracy_hi"},
                    "opacity": faded(0.35, 0.05),
                },
            },
            {
                "data": {"name": "trials"},
                "transform": [{"filter": "isValid(datum.accuracy)"}],
                "params": [{"name": "brush", "select": {"type": "interval"}}],
                "mark": {"type": "point", "filled": True, "size": size,
                         "tooltip": {"content": "data"}},
                "encoding": {"x": x, "y": y, "color": shade, "opacity": faded(0.95, 0.12)},
            },
            {
                "data": {"name": "trials"},
                "transform": [{"filter": "datum.winner && isValid(datum.accuracy)"}],
                "mark": {"type": "point", "filled": False, "size": 2.6 * size + 60,
                         "strokeWidth": 2.2, "stroke": WINNER, "tooltip": {"content": "data"}},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"name": "trials"},
                "transform": [{"filter": "!isValid(datum.accuracy)"}],
                "mark": {"type": "tick", "orient": "vertical", "size": 10, "thickness": 1.2,
                         "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "y": {"value": "height"},
                    "color": shade,
                    "opacity": faded(0.7, 0.1),
                },
            },
        ],
    }  # fmt: skip
