"""The landscape: every model over two varied fields, coloured by a measure."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.fields import Field, Spec, colour, is_known, position
from sweep.report.pictures.base import (
    CHOSEN,
    Picture,
    all_fields,
    dot_size,
    faded,
    trial_rows,
)
from sweep.report.study import StudyData
from sweep.report.theme import WINNER

BROKEN: Spec = {"condition": {"test": "datum.broken", "value": "cross"}, "value": "circle"}


def landscape(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if no field varies."""
    rows = trial_rows(studies)
    return of_rows(rows, all_fields(studies)) if rows else None


def of_rows(rows: list[Spec], fields: Sequence[Field]) -> Picture | None:
    """Return the picture of rows; None if no field varies.

    Args:
        rows: trials, with `id` and `winner`.
        fields: of the rows; the varied ones are axes, and measures are colours.
    """
    varied = [f for f in fields if f.role == "varied"]
    measures = [f for f in fields if f.role in ("measure", "cost") and f.name != "accuracy_se"]
    if not varied:
        return None
    axes = [f for f in varied if f.name in ("d", "lambd")]
    x, y = (axes if len(axes) == 2 else [*varied, *measures])[:2] if len(varied) > 1 else (
        varied[0], measures[0] if measures else varied[0],
    )  # fmt: skip
    shade = next((f for f in measures if f.name == "accuracy"), measures[0] if measures else x)
    size = dot_size(len(rows))
    spec: Spec = {
        "width": "container",
        "height": 330,
        "params": [CHOSEN],
        "data": {"name": "trials"},
        "transform": [{"filter": is_known(x)}, {"filter": is_known(y)}],
        "encoding": {"x": position(x), "y": position(y)},
        "layer": [
            {
                "params": [{"name": "brush", "select": {"type": "interval"}}],
                "mark": {"type": "point", "filled": True, "size": size, "invalid": "show",
                         "stroke": "#00000030", "strokeWidth": 0.6, "tooltip": {"content": "data"}},
                "encoding": {"color": colour(shade), "opacity": faded(0.95, 0.12),
                             "shape": BROKEN},
            },
            {
                "transform": [{"filter": "datum.winner"}],
                "mark": {"type": "point", "filled": False, "size": 2.6 * size + 60,
                         "strokeWidth": 2.2, "stroke": WINNER, "tooltip": {"content": "data"}},
                "encoding": {"opacity": {"value": 1}},
            },
        ],
    }  # fmt: skip
    options = [*varied, *measures]
    return Picture(
        title="Landscape",
        note="Every model, by what varies. Grey: not known (not probed, or not measured). "
        "Crosses: collapsed or failed. Ring: the winner.",
        spec=spec,
        data={"trials": rows},
        marks=len(rows),
        menus={
            "x": {f.name: _axis("x", 0, f) for f in _first(x, options)},
            "y": {f.name: _axis("y", 1, f) for f in _first(y, options)},
            "colour": {
                f.name: {"layer.0.encoding.color": colour(f)}
                for f in _first(shade, [*measures, *varied])
            },
        },
    )


def _axis(channel: str, number: int, field: Field) -> dict[str, object]:
    """Return what of the specification changes with the field of an axis."""
    return {
        f"encoding.{channel}": position(field),
        f"transform.{number}": {"filter": is_known(field)},
    }


def _first(chosen: Field, fields: Sequence[Field]) -> list[Field]:
    return [chosen, *(f for f in fields if f.name != chosen.name)]
