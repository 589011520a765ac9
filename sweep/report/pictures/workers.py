"""A timeline of the workers: what each did and when; and how many trials were held."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.fields import Row, Spec, unit_of
from sweep.report.pictures.base import CHOSEN, Picture, faded, ident
from sweep.report.study import StudyData
from sweep.report.theme import KINDS

MOST_HELD = 400


def workers(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if no worker did anything."""
    last = max((study.timeline.last for study in studies), default=0.0)
    size, unit = unit_of(last)
    segments: list[Row] = []
    moments: list[Row] = []
    held: list[Row] = []
    for study in studies:
        prefix = f"{study.name} " if len(studies) > 1 else ""

        def lane(row: Row, prefix: str = prefix) -> Row:
            return {"worker": f"{prefix}worker {row['lane'] + 1}"}

        segments += [
            {**row, **lane(row), "id": ident(study, row["trial_id"]),
             "began": row["began"] / size, "ended": row["ended"] / size}
            for row in study.timeline.segments
        ]  # fmt: skip
        moments += [
            {**row, **lane(row), "id": ident(study, row["trial_id"]), "at": row["at"] / size}
            for row in study.timeline.moments
        ]
        thinned = study.timeline.held[:: max(1, len(study.timeline.held) // MOST_HELD)]
        held += [
            {"at": row["at"] / size, "count": row["count"], "study": study.name} for row in thinned
        ]
        if thinned:
            end = {"at": study.timeline.last / size, "count": thinned[-1]["count"]}
            held.append({**end, "study": study.name})
    if not segments:
        return None
    lanes = list(dict.fromkeys(row["worker"] for row in sorted(segments, key=_order)))
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in segments)]
    above = _lanes(None if held else f"{unit} since the study began", last / size, lanes, kinds)
    spec: Spec = {"params": [CHOSEN], "vconcat": [above]}
    if held:
        spec["vconcat"].append(_held(unit, last / size))
        spec |= {"spacing": 12, "resolve": {"scale": {"x": "shared"}}}
    note = "A lane is one worker. Waiting: a trial starts, loads data or saves a checkpoint. "
    note += "Triangles: a trial was taken up again. Crosses: an attempt failed."
    if held:
        note += " Below: how many trials wait for the rule's decision."
    return Picture(
        title="Timeline of the workers",
        note=note,
        spec=spec,
        data={"segments": segments, "moments": moments, "held": held},
        marks=len(segments) + len(moments),
        wide=True,
    )


def _order(row: Row) -> tuple[str, int]:
    return row["worker"].rpartition(" ")[0], row["lane"]


def _lanes(title: str | None, last: float, lanes: list[str], kinds: list[str]) -> Spec:
    x: Spec = {
        "field": "began",
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, last], "nice": False},
    }
    y: Spec = {
        "field": "worker",
        "type": "nominal",
        "title": None,
        "sort": lanes,
        "axis": {"grid": False, "ticks": False, "domain": False},
    }
    shapes = {"domain": ["resumed", "failed"], "range": ["triangle-right", "cross"]}
    return {
        "width": "container",
        "height": {"step": 26 if len(lanes) <= 16 else 14},
        "layer": [
            {
                "data": {"name": "segments"},
                "mark": {"type": "bar", "cornerRadius": 1.5, "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "x2": {"field": "ended"},
                    "y": y,
                    "color": {
                        "field": "kind",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": kinds, "range": [KINDS[kind] for kind in kinds]},
                        "legend": {"orient": "top", "symbolType": "square"},
                    },
                    "opacity": {
                        "condition": {
                            "test": "!chosen || chosen[datum.id] || datum.kind == 'idle'",
                            "value": 1,
                        },
                        "value": 0.12,
                    },
                },
            },
            {
                "data": {"name": "moments"},
                "mark": {"type": "point", "filled": True, "size": 34, "stroke": "white",
                         "strokeWidth": 0.6, "tooltip": {"content": "data"}},
                "encoding": {
                    "x": {**x, "field": "at"},
                    "y": y,
                    "shape": {"field": "what", "type": "nominal", "title": None, "scale": shapes,
                              "legend": {"orient": "top"}},
                    "color": {
                        "condition": {"test": "datum.what == 'failed'", "value": KINDS["failed"]},
                        "value": "#1b1f24",
                    },
                    "opacity": faded(0.9, 0.1),
                },
            },
        ],
    }  # fmt: skip


def _held(unit: str, last: float) -> Spec:
    return {
        "width": "container",
        "height": 56,
        "data": {"name": "held"},
        "mark": {"type": "area", "interpolate": "step-after", "color": "#8a6fd1", "opacity": 0.45,
                 "line": {"color": "#8a6fd1", "strokeWidth": 1}},
        "encoding": {
            "x": {
                "field": "at",
                "type": "quantitative",
                "title": f"{unit} since the study began",
                "scale": {"domain": [0, last], "nice": False},
            },
            "y": {"field": "count", "type": "quantitative", "title": "trials held",
                  "axis": {"tickCount": 3, "tickMinStep": 1, "format": "d"}, "stack": None},
            "detail": {"field": "study"},
        },
    }  # fmt: skip
