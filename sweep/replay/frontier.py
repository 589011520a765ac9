"""Frontiers: the mean regret that a rule has reached for each amount spent, one axis at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sweep.replay.compare import Results, curve_difference, curves_of_draws
from sweep.replay.figures import AXES, SHARES, Floats, mean_curve
from sweep.replay.intervals import margins

MOST_BUDGETS = len(SHARES)
LONGER = 1.5
"""Largest share of `reserved` and `wall`: a rule that lets workers wait exceeds the grid's."""

SCHEMA = pa.schema(
    {
        "table": pa.string(),
        "orders": pa.int64(),
        "candidates": pa.int64(),
        "parallel": pa.int64(),
        "left_out": pa.float64(),
        "rule": pa.string(),
        "budget": pa.string(),
        "spent": pa.float64(),
        "mean_regret": pa.float64(),
        "mean_regret_lo": pa.float64(),
        "mean_regret_hi": pa.float64(),
        "less_regret": pa.float64(),
        "less_regret_lo": pa.float64(),
        "less_regret_hi": pa.float64(),
        "ended": pa.bool_(),
    }
)
"""One row for each rule, axis (`budget`, see `figures.AXES`) and amount (`spent`). `less_regret` is
the first rule's mean regret minus this one's. `ended` is true where the rule's mean spending is at
most this amount: its regret falls no further."""


def frontiers(several: Sequence[Results]) -> pa.Table:
    """Return the frontiers of every table and rule over every axis; its columns: `SCHEMA`."""
    return pa.concat_tables(
        [SCHEMA.empty_table()]
        + [
            pa.table(_columns(results, spec.label, axis), schema=SCHEMA)
            for results in several
            for spec in results.rules
            for axis in AXES
        ]
    )


def budgets(results: Results, axis: str) -> Floats:
    """Return the amounts at which an axis is read off, ascending, at most `MOST_BUDGETS`."""
    if axis in ("reserved", "wall"):
        return LONGER * SHARES
    if axis != "probes":
        return SHARES
    most = max(p.probes for all_ in results.given.values() for p in all_)
    return np.unique(np.ceil(SHARES * max(1, most)))


def _columns(results: Results, label: str, axis: str) -> Mapping[str, Any]:
    amounts = budgets(results, axis)
    given = results.given[label]
    regret = mean_curve(given, axis, amounts)
    half = margins(curves_of_draws(results, label, axis, amounts), results.scale)
    less, less_half = curve_difference(results, label, axis, amounts)
    mean_end = float(np.mean([AXES[axis](played, played.end) for played in given]))
    same = {**results.about, "rule": label, "budget": axis}
    return {
        **{name: [value] * len(amounts) for name, value in same.items()},
        "spent": amounts,
        "mean_regret": regret,
        "mean_regret_lo": _or_null(np.maximum(0.0, regret - half)),
        "mean_regret_hi": _or_null(regret + half),
        "less_regret": less,
        "less_regret_lo": _or_null(less - less_half),
        "less_regret_hi": _or_null(less + less_half),
        "ended": amounts >= mean_end,
    }


def _or_null(values: Floats) -> pa.Array:
    return pa.array(values, from_pandas=True)
