"""Plot a landscape: accuracy and alpha over two fields, and accuracy against the criteria.

The maps are the picture `landscape` of a report. The correlations come from
`sweep.replay.statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sweep.core.errors import DataError
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.statistics import at_end, cells, main_fields, varied
from sweep.report.fields import (
    Field,
    Row,
    Spec,
    colour,
    field_of,
    is_known,
    label,
    position,
    title_of,
)
from sweep.report.pictures.base import dot_size
from sweep.report.pictures.landscape import BROKEN
from sweep.report.render import save, titled
from sweep.report.theme import ACCENT

MAPS = ("accuracy", "alpha")
CRITERIA = ("alpha", "loss", "rankme")
PLACES = ("x", "y")
"""Columns of the rows: names of fields may be any text, and stand in titles only."""
ROWS = "row"
"""The x axis if no field varies: the number of the table's row."""
MAP_WIDTH, MAP_HEIGHT = 400, 270
SCATTER_WIDTH, SCATTER_HEIGHT = 250, 210


def write(landscape: Landscape, table: pa.Table, path: Path) -> None:
    """Draw a landscape and write the picture.

    Args:
        landscape: any of its values may be missing.
        table: its `correlations`.
        path: ends in .svg, .png or .pdf.

    Raises:
        UserError: the path has another ending, or cannot be written.
        DataError: no candidate was probed.
    """
    save(draw(landscape, table), path)


def draw(landscape: Landscape, table: pa.Table) -> Spec:
    """Return the picture's specification; see `write` for the arguments and errors."""
    if not any(c.accuracy is not None for c in landscape.candidates):
        raise DataError(
            f"{landscape.name} has no candidate that was probed, so there is no accuracy to "
            'draw. Run the study with rule.name="all", or fill in the column accuracy.'
        )
    axes = main_fields(landscape) or [ROWS]
    rows = [_row(number, c, axes) for number, c in enumerate(landscape.candidates)]
    maps = _means(landscape, axes) if _has_cells(landscape, axes) else rows
    correlations = {row["criterion"]: row for row in table.to_pylist()}
    above = [_map(maps, axes, name) for name in MAPS]
    maps_beside = {"hconcat": above, "resolve": {"scale": {"color": "independent"}}}
    below = [_against(rows, name, correlations.get(name)) for name in CRITERIA]
    return titled(
        {"vconcat": [maps_beside, {"hconcat": below}], "spacing": 26},
        landscape.name,
        _note(landscape, axes),
        {"maps": maps, "trials": rows},
    )


def _row(number: int, candidate: Recorded, axes: Sequence[str]) -> Row:
    """Return a candidate as a row of a report's pictures, its fields on the axes as x and y."""
    values = {**candidate.point, ROWS: number + 1}
    row: Row = {"broken": candidate.broken}
    row |= {place: values.get(name) for place, name in zip(PLACES, axes, strict=False)}
    for name in {*MAPS, *CRITERIA}:
        value = at_end(candidate, name)
        row[name] = None if value != value else value  # NaN
    if row["accuracy"] is not None and candidate.accuracy_se is not None:
        row["accuracy_lo"] = row["accuracy"] - candidate.accuracy_se
        row["accuracy_hi"] = row["accuracy"] + candidate.accuracy_se
    return row


# Over the varied fields --------------------------------------------------------------


def _has_cells(landscape: Landscape, axes: Sequence[str]) -> bool:
    """Return whether several candidates share a point of the two axes."""
    if len(axes) < 2:
        return False
    placed = [c for c in landscape.candidates if {*axes} <= c.point.keys()]
    return len({tuple(c.point[name] for name in axes) for c in placed}) < len(placed)


def _means(landscape: Landscape, axes: Sequence[str]) -> list[Row]:
    """Return a row for each point of two axes, with means over all other fields."""
    over = {name: cells(landscape, name, *axes) for name in MAPS}
    return [
        {**dict(zip(PLACES, point, strict=True)),
         **{name: None if (mean := over[name][point]) != mean else mean for name in MAPS}}
        for point in over["accuracy"]
    ]  # fmt: skip


def _map(rows: list[Row], axes: Sequence[str], name: str) -> Spec:
    """Return a measure over two fields, as coloured dots; or over one field."""
    x = _field(0, axes, rows)
    measure = field_of(name, rows, "measure")
    y = _field(1, axes, rows) if len(axes) > 1 else measure
    title = " and ".join(short_name(axis) for axis in axes)
    known = [{"filter": is_known(x)}, {"filter": is_known(y)}]
    shade: Spec = colour(measure) if len(axes) > 1 else {"value": ACCENT}
    return {
        "width": MAP_WIDTH,
        "height": MAP_HEIGHT,
        "title": {"text": f"{name} over {title}", "fontSize": 12, "offset": 8},
        "data": {"name": "maps"},
        "transform": known,
        "mark": {"type": "point", "filled": True, "size": dot_size(len(rows)),
                 "invalid": "show", "opacity": 0.95},
        "encoding": {"x": position(x), "y": position(y), "color": shade, "shape": BROKEN},
    }  # fmt: skip


def _field(number: int, axes: Sequence[str], rows: list[Row]) -> Field:
    """Return the description of the field on an axis; its values are in the column of its place."""
    found = field_of(PLACES[number], rows, "varied")
    return replace(found, title=title_of(axes[number]))


def short_name(name: str) -> str:
    """Return a field's name for a title: on one line, `lambda` for `lambd`."""
    return "lambda" if name == "lambd" else label(name)


# Against the criteria ----------------------------------------------------------------


def _against(rows: list[Row], name: str, row: dict[str, Any] | None) -> Spec:
    """Return accuracy against a criterion, with Spearman's correlation as its title."""
    accuracy: Spec = {**position(field_of("accuracy", rows, "measure")), "field": "accuracy"}
    x = position(field_of(name, rows, "measure"))
    known = any(r[name] is not None and r["accuracy"] is not None for r in rows)
    x = {**x, "type": "quantitative"} if known else {**x, "type": "quantitative", "scale": {}}
    return {
        "width": SCATTER_WIDTH,
        "height": SCATTER_HEIGHT,
        "title": {"text": _correlation(row) if known else f"no {name} known", "fontSize": 11,
                  "fontWeight": 400, "offset": 8},
        "data": {"name": "trials"},
        "transform": [{"filter": f"isValid(datum.{name}) && isValid(datum.accuracy)"}],
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 0.8, "opacity": 0.35},
                "encoding": {"y": {**accuracy, "field": "accuracy_lo"},
                             "y2": {"field": "accuracy_hi"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": dot_size(4 * len(rows)),
                         "color": ACCENT, "opacity": 0.9},
                "encoding": {"y": accuracy, "shape": BROKEN},
            },
        ],
    }  # fmt: skip


def _correlation(row: dict[str, Any] | None) -> str:
    if row is None:
        return "no correlation: fewer than 3 models"
    if row["spearman"] != row["spearman"]:  # NaN
        return "no correlation: all values are equal"
    return f"Spearman {row['spearman']:.2f}, 95 % interval {row['lo']:.2f} to {row['hi']:.2f}"


def _note(landscape: Landscape, axes: Sequence[str]) -> str:
    """Return the note: counts, and what the marks mean."""
    all_ = landscape.candidates
    probed, broken = sum(c.accuracy is not None for c in all_), sum(c.broken for c in all_)
    note = f"Models: {len(all_)}, probed: {probed}, collapsed or diverged: {broken}. "
    if any(c.accuracy_se is not None for c in all_):
        note += "Bars: one standard error of accuracy. "
    if broken:
        note += "Crosses: collapsed or diverged. "
    if probed < len(all_):
        note += "Grey: not known. "
    if len(axes) == 2:
        lost = sum(not {*axes} <= c.point.keys() for c in all_)
        names = " or ".join(map(short_name, axes))
        note += f"Not on the maps, without {names}: {lost}. " if lost else ""
        others = [short_name(name) for name in varied(landscape) if name not in axes]
        if others and _has_cells(landscape, axes):
            note += f"Dots on the maps are means over {', '.join(others)}."
    return note
