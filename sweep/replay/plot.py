"""Plot a landscape: accuracy and alpha over two fields, and accuracy against the criteria.

The correlations come from `sweep.replay.statistics`, and `sweep.replay.picture` writes the file.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from sweep.core.errors import DataError
from sweep.replay.landscape import Landscape
from sweep.replay.picture import save, shown
from sweep.replay.statistics import at_end, cells, main_fields, varied

Floats = npt.NDArray[np.float64]

MAPS = {"accuracy": "validation accuracy (%)", "alpha": "alpha"}
CRITERIA = {"alpha": "alpha", "loss": "loss at the end of training", "rankme": "RankMe"}
ROWS = "the table's rows"
"""The x axis if no field varies."""
LINEAR = ("alpha", "RankMe", ROWS)
COLOURS = "viridis"  # perceptually uniform, also for colour-blind readers
BLUE = "#0072B2"  # of the palette of Okabe and Ito
DOTS: dict[str, Any] = {"s": 16, "color": BLUE, "linewidths": 0, "zorder": 3}
BARS: dict[str, Any] = {"fmt": "none", "ecolor": "0.7", "elinewidth": 0.8}
CROSS: dict[str, Any] = {"marker": "X", "ls": "", "ms": 6, "mfc": "white", "mec": "black"}
MOST_LABELS = 12
"""If a field has at most this number of values, each value gets a label on the axis."""
LOG_AXIS_RATIO = 4.0
"""An axis is logarithmic if the largest value is at least this many times the smallest."""


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
    save(lambda: draw(landscape, table), path)


def draw(landscape: Landscape, table: pa.Table) -> Figure:
    """Return the figure; see `write` for the arguments and errors."""
    if not any(c.accuracy is not None for c in landscape.candidates):
        raise DataError(
            f"{landscape.name} has no candidate that was probed, so there is no accuracy to "
            'draw. Run the study with rule.name="all", or fill in the column accuracy.'
        )
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    for axes, name in zip(above.subplots(1, len(MAPS)), MAPS, strict=True):
        _map(axes, landscape, name)
    correlations = {row["criterion"]: row for row in table.to_pylist()}
    for axes, name in zip(below.subplots(1, len(CRITERIA)), CRITERIA, strict=True):
        _against(axes, landscape, name, correlations.get(name))
    figure.suptitle(shown(landscape.name), parse_math=False)
    note = fill(_note(landscape), 150)
    figure.supxlabel(note, x=0.01, ha="left", fontsize="medium", parse_math=False)
    return figure


# Over the varied fields --------------------------------------------------------------


def _map(axes: Axes, landscape: Landscape, name: str) -> None:
    """Draw a measure over two fields, as cells of a grid or as dots; or over one field."""
    fields = _fields(landscape)
    values, broken = _column(landscape, name), _broken(landscape)
    axes.set_title(f"{name} over {' and '.join(map(shown, fields))}", parse_math=False)
    if np.isnan(values).all():
        _nothing(axes, f"no {name} known")
        return
    where = [_point(landscape, field) for field in fields]
    _scale(axes, "x", fields[0], where[0])
    if len(fields) == 1:
        _points(axes, where[0], values, broken)
        axes.set_ylabel(MAPS[name])
        return
    _scale(axes, "y", fields[1], where[1])
    if _is_grid(landscape, fields):
        _cells(axes, landscape, name, fields)
    else:
        _dots(axes, where, values, name)
    axes.plot(where[0][broken], where[1][broken], **CROSS)


def _cells(axes: Axes, landscape: Landscape, name: str, fields: list[str]) -> None:
    over = cells(landscape, name, *fields)
    columns, rows = (sorted({cell[i] for cell in over}) for i in (0, 1))
    values = _unit(name) * np.array([[over.get((x, y), np.nan) for x in columns] for y in rows])
    axes.set_facecolor("0.9")
    x, y = _edges(fields[0], np.array(columns)), _edges(fields[1], np.array(rows))
    mesh = axes.pcolormesh(x, y, values, cmap=COLOURS, edgecolors="white", linewidth=0.4)
    axes.figure.colorbar(mesh, ax=axes, label=MAPS[name])


def _dots(axes: Axes, where: list[Floats], values: Floats, name: str) -> None:
    known = ~np.isnan(values)
    x, y = (place[known] for place in where)
    dots = axes.scatter(x, y, c=values[known], cmap=COLOURS, s=42, edgecolors="0.4", linewidths=0.4)
    axes.figure.colorbar(dots, ax=axes, label=MAPS[name])


def _fields(landscape: Landscape) -> list[str]:
    """Return the one or two fields that the maps are over."""
    return main_fields(landscape) or [ROWS]


def _is_grid(landscape: Landscape, fields: list[str]) -> bool:
    """Return whether more than half of the cells hold a candidate, as in no random draw."""
    over = cells(landscape, "accuracy", *fields)
    columns, rows = (len({cell[i] for cell in over}) for i in (0, 1))
    return min(columns, rows) > 1 and 2 * len(over) > columns * rows


def _edges(name: str, values: Floats) -> Floats:
    """Return the borders of the cells of a field's ascending values: midway on its axis."""
    on_log = _is_log(name, values)
    places = np.log(values) if on_log else values
    middle = (places[1:] + places[:-1]) / 2
    first, last = 2 * places[0] - middle[0], 2 * places[-1] - middle[-1]
    edges = np.concatenate([[first], middle, [last]])
    return np.exp(edges) if on_log else edges


# Against the criteria ----------------------------------------------------------------


def _against(axes: Axes, landscape: Landscape, name: str, row: dict[str, Any] | None) -> None:
    """Draw accuracy against a criterion, with Spearman's correlation."""
    x, y = _column(landscape, name), _column(landscape, "accuracy")
    known = ~np.isnan(x) & ~np.isnan(y)
    axes.set_title(_correlation(row))
    if not known.any():
        _nothing(axes, f"no {CRITERIA[name]} known")
        return
    errors = 100 * np.array([c.accuracy_se for c in landscape.candidates], dtype=np.float64)
    _scale(axes, "x", CRITERIA[name], x)
    axes.errorbar(x[known], y[known], yerr=errors[known], **BARS)
    _points(axes, x, y, _broken(landscape))
    axes.set_ylabel(MAPS["accuracy"])


def _correlation(row: dict[str, Any] | None) -> str:
    if row is None:
        return "no correlation: fewer than 3 models"
    if np.isnan(row["spearman"]):
        return "no correlation: all values are equal"
    return f"Spearman {row['spearman']:.2f}, 95 % interval {row['lo']:.2f} to {row['hi']:.2f}"


# Both --------------------------------------------------------------------------------


def _note(landscape: Landscape) -> str:
    """Return the note below the picture: counts, and what its marks mean."""
    all_, fields = landscape.candidates, _fields(landscape)
    probed, broken = sum(c.accuracy is not None for c in all_), sum(c.broken for c in all_)
    note = f"Models: {len(all_)}, probed: {probed}, collapsed or diverged: {broken}"
    note += " (crosses, on an edge where a number is not known). " if broken else ". "
    if any(c.accuracy_se is not None for c in all_):
        note += "Bars: one standard error of accuracy. "
    if len(fields) == 2:
        lost = sum(not {*fields} <= c.point.keys() for c in all_)
        names, grid = " or ".join(map(shown, fields)), _is_grid(landscape, fields)
        note += f"Not on the maps, without {names}: {lost}. " if lost else ""
        note += "Grey cells: not known. " if grid and (broken or probed < len(all_)) else ""
        others = [shown(name) for name in varied(landscape) if name not in fields]
        note += f"Cells are means over {', '.join(others)}." if grid and others else ""
    return note


def _points(axes: Axes, x: Floats, y: Floats, broken: npt.NDArray[np.bool_]) -> None:
    """Draw models as dots, broken ones as crosses, on an edge if x or y is not known."""
    no_x, no_y = np.isnan(x), np.isnan(y)
    axes.scatter(x[~broken], y[~broken], **DOTS)
    axes.plot(x[broken], y[broken], **CROSS)
    below, left = broken & no_y & ~no_x, broken & no_x & ~no_y
    axes.plot(x[below], [0.03] * below.sum(), transform=axes.get_xaxis_transform(), **CROSS)
    axes.plot([0.02] * left.sum(), y[left], transform=axes.get_yaxis_transform(), **CROSS)


def _scale(axes: Axes, which: str, name: str, values: Floats) -> None:
    """Label an axis, and each value of a field if there are few."""
    values = np.unique(values[~np.isnan(values)])
    on_log = _is_log(name, values)
    few = name not in CRITERIA.values() and len(values) <= MOST_LABELS
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log" if on_log else "linear"})
    unit = " (projector dimensions)" if name == "d" else ""
    axis.set_label_text(shown(name) + unit, parse_math=False)
    if few:
        axis.set_major_locator(FixedLocator(list(values)))
        axis.set_tick_params(rotation=45 if which == "x" and len(values) > 6 else 0)
    elif on_log:
        narrow = values[-1] < 300 * values[0]
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    if few or on_log:
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))


def _is_log(name: str, values: Floats) -> bool:
    wide = len(values) > 0 and values.min() > 0 and values.max() >= LOG_AXIS_RATIO * values.min()
    return bool(wide and name not in LINEAR)


def _nothing(axes: Axes, note: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, note, ha="center", transform=axes.transAxes, parse_math=False)


def _column(landscape: Landscape, name: str) -> Floats:
    return _unit(name) * np.array([at_end(c, name) for c in landscape.candidates])


def _unit(name: str) -> float:
    """Return the factor with which a measure is shown: accuracies are in percent."""
    return 100.0 if name == "accuracy" else 1.0


def _point(landscape: Landscape, field: str) -> Floats:
    if field == ROWS:
        return np.arange(1.0, len(landscape) + 1)
    return np.array([c.point.get(field, np.nan) for c in landscape.candidates])


def _broken(landscape: Landscape) -> npt.NDArray[np.bool_]:
    return np.array([c.broken for c in landscape.candidates])


def _number(value: float) -> str:
    whole = value == round(value) and abs(value) < 1e6
    return f"{value:.0f}" if whole else f"{value:.3g}"
