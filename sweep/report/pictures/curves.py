"""Learning curves: each look at each model, over the share of training that was done."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.fields import LABEL, PERCENT, Row, Spec, log_axis, title_of, wide
from sweep.report.pictures.base import CHOSEN, Picture, faded, ident
from sweep.report.study import StudyData
from sweep.report.theme import ACCENT, WINNER

MOST_DOTS = 3000


def curves(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if no model was looked at twice."""
    rows = _rows(studies)
    if not rows:
        return None
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    first = "accuracy" if "accuracy" in measures else measures[0]
    order = [first, *(name for name in measures if name != first)]
    changes = {name: _changes(name, rows) for name in order}
    count = sum(row["measure"] == first for row in rows)
    lines = len({row["id"] for row in rows if row["measure"] == first})
    spec: Spec = {
        "width": "container",
        "height": 330,
        "params": [CHOSEN],
        "data": {"name": "curves"},
        "transform": changes[first]["transform"],
        "encoding": {
            "x": {
                "field": "fraction",
                "type": "quantitative",
                "title": "share of training done (%)",
                "axis": {"format": "%"},
                "scale": {"domain": [0, 1], "nice": False},
            },
            "y": changes[first]["encoding.y"],
            "detail": {"field": "id"},
        },
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.4, "point": count <= MOST_DOTS
                         and {"size": 22, "filled": True}, "color": ACCENT,
                         "tooltip": {"content": "data"}},
                "encoding": {"opacity": faded(0.75 if lines < 40 else 0.3, 0.04)},
            },
            {
                "transform": [{"filter": "datum.winner"}],
                "mark": {"type": "line", "strokeWidth": 2.6, "color": WINNER,
                         "point": {"size": 42, "color": WINNER, "filled": True},
                         "tooltip": {"content": "data"}},
            },
        ],
    }  # fmt: skip
    return Picture(
        title="Learning curves",
        note="One line for each model; a stopped model's line ends where it was stopped. "
        "Orange: the winner.",
        spec=spec,
        data={"curves": rows},
        marks=count,
        menus={"measure": changes},
    )


def _rows(studies: Sequence[StudyData]) -> list[Row]:
    made: list[Row] = []
    for study in studies:
        winner = study.winner
        best = winner["trial_id"] if winner else None
        made += [
            {**row, "id": ident(study, row["trial_id"]), "winner": row["trial_id"] == best}
            for row in study.curves
        ]
    return made


def _changes(name: str, rows: list[Row]) -> dict[str, object]:
    """Return what of the specification depends on the measure that is drawn."""
    values = [row["value"] for row in rows if row["measure"] == name]
    log = name not in ("alpha", *PERCENT) and wide(values)
    title = "loss" if name == "loss" else title_of(name)
    return {
        "transform": [{"filter": {"field": "measure", "equal": name}}],
        "encoding.y": {
            "field": "value",
            "type": "quantitative",
            "title": title,
            "scale": {"type": "log", "nice": False} if log else {"zero": False, "padding": 8},
            "axis": log_axis(min(values), max(values)) if log
            else {"format": "%"} if name in PERCENT else {"labelExpr": LABEL},
        },
    }  # fmt: skip
