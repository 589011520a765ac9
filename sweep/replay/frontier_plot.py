"""Plot frontiers: a row of panels for each table, one panel for each axis, one line for each rule.

The numbers come from `sweep.replay.frontier`, and `sweep.replay.picture` writes the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from sweep.replay.picture import save, shown

Floats = npt.NDArray[np.float64]

PANELS = {
    "pretrain": "pretraining alone",
    "device": "device-seconds, idle workers free",
    "reserved": "device-seconds, idle workers paid",
    "wall": "wall seconds",
    "probes": "probes",
}
COLOURS = (  # the palette of Okabe and Ito, also for colour-blind readers
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9",
)  # fmt: skip
DASHES = ("-", "--", ":", "-.")
MOST_BANDS = 2
"""With more rules than this, their intervals would hide each other and are left out."""
SMALLEST_SHARE = 0.02
"""The left end of an axis of shares."""
POINTS = 80
"""How many of a curve's budgets are drawn, about evenly over the logarithmic axis."""
LINEAR_BELOW = 0.1
"""Below this regret, in points, the axis is linear, so that 0 is on it."""


def write(table: pa.Table, path: Path) -> None:
    """Draw the `frontiers` of one or several tables and write the picture.

    Raises:
        UserError: the path does not end in .svg, .png or .pdf, or cannot be written.
    """
    save(lambda: draw(table), path)


def draw(table: pa.Table) -> Figure:
    """Return the figure of a table of `sweep.replay.frontier.frontiers`."""
    names = pc.unique(table["table"]).to_pylist()
    rules = pc.unique(table["rule"]).to_pylist()
    figure = Figure(figsize=(15, 1.2 + 3.0 * len(names)), layout="constrained")
    every = figure.subplots(len(names), len(PANELS), squeeze=False, sharey="row")
    for row, name in zip(every, names, strict=True):
        of_table = table.filter(pc.equal(table["table"], name))
        for axes, axis in zip(row, PANELS, strict=True):
            _panel(axes, of_table.filter(pc.equal(of_table["budget"], axis)), axis, rules)
        row[0].set_ylabel(f"{shown(name)}\nmean regret (points)", parse_math=False)
    lines, labels = every[0][0].get_legend_handles_labels()
    legend = figure.legend(lines, labels, loc="outside upper left", ncols=min(6, len(rules)))
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.supxlabel(_note(table, rules), x=0.01, ha="left", fontsize="medium", parse_math=False)
    return figure


def _panel(axes: Axes, table: pa.Table, axis: str, rules: list[str]) -> None:
    """Draw the regret of each rule over one axis, and a dot at its mean end and final regret."""
    for number, rule in enumerate(rules):
        rows = table.filter(pc.equal(table["rule"], rule))
        spent, regret, low, high = (
            rows[name].to_numpy().astype(float)
            for name in ("spent", "mean_regret", "mean_regret_lo", "mean_regret_hi")
        )
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)]}
        dashes = DASHES[number // len(COLOURS) % len(DASHES)]
        at = _drawn(len(spent))
        axes.step(spent[at], regret[at], where="post", ls=dashes, label=shown(rule), **look)
        if len(rules) <= MOST_BANDS and not np.isnan(low).all():
            axes.fill_between(spent[at], low[at], high[at], step="post", alpha=0.15, lw=0, **look)
        ended = rows["ended"].to_numpy(zero_copy_only=False)
        if ended.any():
            axes.plot(spent[np.argmax(ended)], regret[-1], marker="o", ms=4, **look)
    _axes(axes, axis)


def _drawn(budgets: int) -> npt.NDArray[np.int64]:
    """Return which of the budgets are drawn, the first and the last among them."""
    places = np.geomspace(1, budgets, min(POINTS, budgets))
    return np.unique(np.round(places).astype(np.int64) - 1)


def _axes(axes: Axes, axis: str) -> None:
    axes.set_title(PANELS[axis])
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
    axes.set_ylim(bottom=0)
    if axis != "probes":
        axes.set_xlim(left=SMALLEST_SHARE)
    axes.set_xlabel("number" if axis == "probes" else "share of the whole grid's")
    for one in (axes.xaxis, axes.yaxis):
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        one.set_minor_locator(NullLocator())
    axes.grid(color="0.9", lw=0.5)


def _note(table: pa.Table, rules: list[str]) -> str:
    workers, left_out = table["parallel"][0].as_py(), table["left_out"][0].as_py()
    note = f"{workers} workers, {100 * left_out:g} % of the candidates left out of each order. "
    note += "Until a model is trained and probed, the regret is the worst model's. "
    note += "Dots: what a rule has spent on average when it ends, and its final regret."
    if len(rules) <= MOST_BANDS and table["mean_regret_lo"].null_count < len(table):
        note += " Bands: 95 % intervals over candidates."
    return note
