"""The table `trials` of a study, as `sweep dump` writes it, read as a landscape's table.

It holds more than a landscape: what a probe measured beside the accuracy, the verdicts, and how
each trial ended. None of that was known before a probe, so a rule in a replay must not see it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pyarrow as pa

from sweep.core.errors import StudyWarning
from sweep.core.records import from_labels
from sweep.replay.typed_rows import ACCURACIES
from sweep.tables.parameters import between

_MARKS = frozenset(
    {"study", "trial_id", "index", "seed", "rankme", "accuracy", "alpha_status", "config_digest"}
)
"""A table with these columns is a table `trials`."""

_FIXED = ("seed", "method", "encoder", "dataset", "epochs")
"""Columns of every table `trials`; they are fields of a candidate only where they vary."""
_SEEN = ("loss", "alpha", "alpha_r2", "rankme")
_ENDED = frozenset({"measured", "probing", "held", "stopped", "probed"})
_BROKEN = frozenset({"degenerate", "nonfinite"})
_EMPTY = frozenset({None, ""})
"""An empty cell: of Parquet, and of CSV."""


def is_trials(table: pa.Table) -> bool:
    """Return whether a table is a table `trials`, of this version or an earlier one."""
    return set(table.column_names) >= _MARKS


def of_trials(name: str, table: pa.Table) -> tuple[pa.Table, str, list[str]]:
    """Return a table `trials` as that of a landscape, its method's name, and further criteria.

    Kept are the fields that vary, the criteria, the accuracies and the device-seconds. A warning
    says how many trials are left out because they did not end; those that diverged or collapsed
    stay. The method is "" if the trials have several.
    """
    names = table.column_names
    ended = [
        status in _BROKEN or (status in _ENDED and _number(fraction) == 1.0)
        for status, fraction in zip(
            table.column("status").to_pylist(), table.column("fraction").to_pylist(), strict=True
        )
    ]
    if not all(ended):
        warnings.warn(
            f"{name}: {ended.count(False)} of {len(ended)} trials did not train to the end, and "
            "are left out.",
            StudyWarning,
            stacklevel=2,
        )
    table = table.filter(pa.array(ended, pa.bool_()))
    between_both = names[names.index("rankme") + 1 : names.index("accuracy")]
    criteria = [title for title in between_both if not from_labels(title)]
    columns = {"trial_id": table.column("trial_id"), "fraction": table.column("fraction")}
    for title in (*between(names), *_FIXED):
        if title in names and len(set(table.column(title).to_pylist())) > 1:
            columns[title] = table.column(title)
    for title in (*_SEEN, *criteria, *ACCURACIES):
        if title in names and not _EMPTY.issuperset(table.column(title).to_pylist()):
            columns[title] = table.column(title)
    for part in ("pretrain", "measure", "probe"):
        if (device := f"{part}_device_seconds") in names:
            columns[f"{part}_seconds"] = table.column(device)
    methods = set(table.column("method").to_pylist()) - _EMPTY
    method = str(methods.pop()) if len(methods) == 1 else ""
    return pa.table(columns), method, [title for title in criteria if title in columns]


def _number(value: Any) -> float:
    """Return a cell as a number: a CSV file may hold it as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
