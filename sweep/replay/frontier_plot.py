"""Plot frontiers: a row of panels for each table, one panel for each axis, one line for each rule.

The numbers come from `sweep.replay.frontier`, and `sweep.report.render` writes the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sweep.report.fields import Row, Spec, label
from sweep.report.render import save, titled
from sweep.report.theme import CATEGORIES

PANELS = {
    "pretrain": "pretraining alone",
    "device": "device-seconds, idle workers free",
    "reserved": "device-seconds, idle workers paid",
    "wall": "wall seconds",
    "probes": "probes",
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
MOST_BANDS = 2
"""With more rules than this, their intervals would hide each other and are left out."""
SMALLEST_SHARE = 0.02
"""The left end of an axis of shares."""
POINTS = 80
"""How many of a curve's budgets are drawn, about evenly over the logarithmic axis."""
LINEAR_BELOW = 0.1
"""Below this regret, in points, the axis is linear, so that 0 is on it."""
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
REGRETS = (0, 0.1, 0.3, 1, 3, 10, 30)


def write(table: pa.Table, path: Path) -> None:
    """Draw the `frontiers` of one or several tables and write the picture.

    Raises:
        UserError: the path does not end in .svg, .png or .pdf, or cannot be written.
    """
    save(draw(table), path)


def draw(table: pa.Table) -> Spec:
    """Return the specification of the picture of a table of `sweep.replay.frontier.frontiers`."""
    rules = pc.unique(table["rule"]).to_pylist()
    names = pc.unique(table["table"]).to_pylist()
    rows = [row for name in names for axis in PANELS for row in _rows(table, name, axis, rules)]
    spec: Spec = {
        "vconcat": [{"hconcat": [_panel(name, axis, rules) for axis in PANELS]} for name in names],
        "spacing": 24,
    }
    return titled(spec, "Regret over each budget", _note(table, rules), {"frontiers": rows})


def _rows(table: pa.Table, name: str, axis: str, rules: list[str]) -> list[Row]:
    """Return the points of each rule's curve over one axis; the last holds where it ends."""
    made: list[Row] = []
    for rule in rules:
        chosen = pc.and_(pc.equal(table["rule"], rule), pc.equal(table["budget"], axis))
        of_rule = table.filter(pc.and_(chosen, pc.equal(table["table"], name)))
        rows = of_rule.to_pylist()
        if not rows:
            continue
        ended = next((row["spent"] for row in rows if row["ended"]), None)
        low, high = "mean_regret_lo", "mean_regret_hi"
        made += [
            {"table": name, "axis": axis, "rule": rule, "spent": rows[i]["spent"],
             "regret": rows[i]["mean_regret"], "lo": rows[i][low], "hi": rows[i][high]}
            for i in _drawn(len(rows))
        ]  # fmt: skip
        if ended is not None:
            end = {"ended": ended, "final": rows[-1]["mean_regret"]}
            made.append({"table": name, "axis": axis, "rule": rule, **end})
    return made


def _drawn(budgets: int) -> npt.NDArray[np.int64]:
    """Return which of the budgets are drawn, the first and the last among them."""
    places = np.geomspace(1, budgets, min(POINTS, budgets))
    return np.unique(np.round(places).astype(np.int64) - 1)


def _panel(name: str, axis: str, rules: list[str]) -> Spec:
    """Return the regret of each rule over one axis, and a dot at its mean end and final regret."""
    shares = axis != "probes"
    x: Spec = {
        "field": "spent",
        "type": "quantitative",
        "title": "share of the whole grid's" if shares else "number",
        "scale": {"type": "log", "nice": False, "clamp": True,
                  **({"domainMin": SMALLEST_SHARE} if shares else {})},
        "axis": {"format": "~g", "labelOverlap": True,
                 "values": list(SHARES if shares else COUNTS)},
    }  # fmt: skip
    first = axis == next(iter(PANELS))
    y: Spec = {
        "field": "regret",
        "type": "quantitative",
        "title": f"{label(name)}: mean regret (points)" if first else None,
        "scale": {"type": "symlog", "constant": LINEAR_BELOW, "domainMin": 0},
        "axis": {"values": list(REGRETS), "format": "~g"},
    }
    bands = [{
        "transform": [{"filter": "isValid(datum.lo)"}],
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.15},
        "encoding": {"x": x, "y": {**y, "field": "lo"}, "y2": {"field": "hi"}},
    }] if len(rules) <= MOST_BANDS else []  # fmt: skip
    return {
        "width": 210,
        "height": 190,
        "title": {"text": PANELS[axis], "fontSize": 11, "offset": 6},
        "data": {"name": "frontiers"},
        "transform": [{"filter": {"and": [{"field": "table", "equal": name},
                                          {"field": "axis", "equal": axis}]}}],
        "encoding": {"color": _colour(rules), "strokeDash": _dashes(rules)},
        "layer": [
            *bands,
            {
                "transform": [{"filter": "isValid(datum.spent)"}],
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.6},
                "encoding": {"x": x, "y": y},
            },
            {
                "transform": [{"filter": "isValid(datum.ended)"}],
                "mark": {"type": "point", "filled": True, "size": 40},
                "encoding": {"x": {**x, "field": "ended"}, "y": {**y, "field": "final"},
                             "strokeDash": {"value": [1, 0]}},
            },
        ],
    }  # fmt: skip


def _colour(rules: list[str]) -> Spec:
    colours = [CATEGORIES[number % len(CATEGORIES)] for number in range(len(rules))]
    return {
        "field": "rule",
        "type": "nominal",
        "title": "rule",
        "scale": {"domain": rules, "range": colours},
    }


def _dashes(rules: list[str]) -> Spec:
    dashes = [DASHES[number // len(CATEGORIES) % len(DASHES)] for number in range(len(rules))]
    return {
        "field": "rule",
        "type": "nominal",
        "title": "rule",
        "scale": {"domain": rules, "range": dashes},
    }


def _note(table: pa.Table, rules: list[str]) -> str:
    workers, left_out = table["parallel"][0].as_py(), table["left_out"][0].as_py()
    note = f"{workers} workers, {100 * left_out:g} % of the candidates left out of each order. "
    note += "Until a model is trained and probed, the regret is the worst model's. "
    note += "Dots: what a rule has spent on average when it ends, and its final regret."
    if len(rules) <= MOST_BANDS and table["mean_regret_lo"].null_count < len(table):
        note += " Bands: 95 % intervals over candidates."
    return note
