"""The rows of a foreign table, with numbers in the columns that must hold numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence, Set
from typing import Any

import pyarrow as pa

from sweep.core.errors import StudyWarning
from sweep.core.records import from_labels
from sweep.replay import cells
from sweep.replay.cells import Reading

FATAL = ("loss", "alpha")
"""Columns in which an empty cell means that the model diverged or collapsed."""
CRITERIA = (*FATAL, "alpha_r2", "rankme")
ACCURACIES = ("accuracy", "test_accuracy")
SECONDS = ("pretrain_seconds", "measure_seconds", "probe_seconds")
NUMBERS = (*CRITERIA, *SECONDS, "fraction", "accuracy_images")
"""Columns that must hold numbers, beside the accuracies."""


def read_rows(
    name: str, table: pa.Table, reading: Reading, named: frozenset[str], *, own: bool
) -> list[dict[str, Any]]:
    """Return the rows of a table, with numbers in the columns that must hold numbers.

    Other columns of texts are numbers if most of their cells are, except in tables of our own.

    Args:
        name: of the table.
        table: its columns.
        reading: how its cells are read.
        named: the columns that the user named.
        own: whether this package wrote the table.

    Raises:
        DataError: a cell is no number where one is needed, or accuracies have two units.
    """
    given: dict[str, list[Any]] = {
        title: table.column(title).to_pylist() for title in table.column_names
    }
    read: dict[str, cells.Column] = {}
    for title, values in given.items():
        texts = any(isinstance(value, str) for value in values)
        if title in ACCURACIES or (texts and _holds_numbers(title, values, named, own=own)):
            read[title] = cells.read_column(title, values, decimal_comma=reading.decimal_comma)
        elif texts and not own and title != "trial_id":
            given[title] = cells.names(values)
    bad = sorted((cell for column in read.values() for cell in column.bad), key=lambda c: c.row)
    if bad and not reading.skip_bad:
        raise cells.refuse(name, bad)
    for title, column in read.items():
        if title in ACCURACIES:
            given[title] = list(cells.shares(title, column, reading.unit))
        else:
            given[title] = list(cells.of_percent(title, column))
    left_out = {cell.row for cell in bad}
    if left_out:
        warnings.warn(
            f"{name}: {len(left_out)} of {table.num_rows} rows are left out, because a cell is not "
            f"a number: rows {cells.describe_rows(bad)}.",
            StudyWarning,
            stacklevel=2,
        )
    rows = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
    return [row for number, row in enumerate(rows, start=1) if number not in left_out]


def _holds_numbers(title: str, values: Sequence[Any], named: frozenset[str], *, own: bool) -> bool:
    """Return whether a column that holds texts must hold numbers."""
    if title == "trial_id":
        return False
    if title in NUMBERS:
        return True
    if title in named:
        return cells.any_number(values)
    return not own and cells.mostly_numbers(values)


def without_labels(name: str, others: Sequence[str], named: Set[str]) -> list[str]:
    """Return the columns that do not come from labels, or that the user named.

    A warning names the columns that are left out.
    """
    left_out = [title for title in others if from_labels(title) and title not in named]
    if left_out:
        warnings.warn(
            f"{name}: not used, because their names say that they come from labels: "
            f"{', '.join(left_out)}. --column NAME={left_out[0]} uses one under another name.",
            StudyWarning,
            stacklevel=2,
        )
    return [title for title in others if title not in left_out]


def without_unused(
    name: str, rows: list[dict[str, Any]], others: Sequence[str], named: Set[str]
) -> list[str]:
    """Return the columns that may be varied fields; warn of texts that say nothing of a model.

    Such a text differs in every row of a table of three rows or more.
    """
    unused = [
        title
        for title in others
        if title not in named
        and len(rows) > 2
        and all(isinstance(row[title], str) for row in rows)
        and len({row[title] for row in rows}) == len(rows)
    ]
    if unused:
        warnings.warn(
            f"{name}: not used, because the text differs in every row: {', '.join(unused)}.",
            StudyWarning,
            stacklevel=2,
        )
    return [title for title in others if title not in unused]
