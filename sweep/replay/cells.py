"""Numbers in the cells of a table that a person or another program wrote.

A cell is read where its meaning is certain: `71.2%`, `0.71 ± 0.01`, `0,71` where no comma parts the
columns. Any other text in a column of numbers is a `BadCell`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweep.core.errors import DataError

Unit = Literal["percent", "fraction"]
UNITS: tuple[Unit, ...] = ("percent", "fraction")
MISSING = {"", "-", "nan", "na", "n/a", "#n/a", "null", "none", "<na>"}
"""Texts, in lower case, that stand for an empty cell in a column of numbers."""

_NUMBER = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_CELL = re.compile(
    rf"(?P<number>{_NUMBER}|[+-]?inf(?:inity)?)\s*(?P<percent>%?)"
    rf"(?:\s*(?:±|\+/-|\+-)\s*{_NUMBER}\s*(?P<after>%?)|\s*\({_NUMBER}%?\))?",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How the cells of a table are read.

    Args:
        unit: of the accuracies; None to find it from the cells.
        skip_bad: whether rows with a bad cell are left out; otherwise they are an error.
        decimal_comma: whether a comma may be the decimal mark; false where it parts columns.
    """

    unit: Unit | None = None
    skip_bad: bool = False
    decimal_comma: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class BadCell:
    """A cell of a column of numbers that is no number.

    Args:
        row: its number, the first row under the header being 1.
        column: its name.
        value: its text.
        why: it is no number.
    """

    row: int
    column: str
    value: str
    why: str = "it is not a number"

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.value!r}, {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """The numbers of a column: one for each row, None where the cell is empty or bad.

    Args:
        values: the numbers, those with a percent sign not yet divided.
        percent: whether each cell has a percent sign.
        bad: the cells that are no numbers.
    """

    values: list[float | None]
    percent: list[bool]
    bad: list[BadCell]


def read_column(name: str, cells: Sequence[Any], *, decimal_comma: bool) -> Column:
    """Return the numbers of a column.

    Args:
        name: of the column.
        cells: numbers, texts, or None.
        decimal_comma: whether a comma may be the decimal mark.
    """
    comma = decimal_comma and any(_has_decimal_comma(cell) for cell in cells)
    column = Column(values=[], percent=[], bad=[])
    for row, cell in enumerate(cells, start=1):
        value, percent, why = _read(cell, comma=comma, decimal_comma=decimal_comma)
        column.values.append(value)
        column.percent.append(percent)
        if why:
            column.bad.append(BadCell(row=row, column=name, value=str(cell), why=why))
    return column


def mostly_numbers(cells: Iterable[Any]) -> bool:
    """Return whether more than half of the cells that are not empty are numbers."""
    known = [_is_number(cell) for cell in cells if not is_missing(cell)]
    return 2 * sum(known) > len(known)


def any_number(cells: Iterable[Any]) -> bool:
    """Return whether any cell is a number."""
    return any(_is_number(cell) for cell in cells if not is_missing(cell))


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return bool(_CELL.fullmatch(cell.strip()))
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def is_missing(cell: Any) -> bool:
    """Return whether a cell stands for nothing."""
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING)


def shares(name: str, column: Column, unit: Unit | None) -> list[float | None]:
    """Return accuracies as shares of 1.

    Args:
        name: of the column.
        column: the accuracies.
        unit: their unit; None to find it: percent signs, or any number above 1, mean percent.

    Raises:
        DataError: the cells have two units, or a number is no accuracy.
    """
    known = [
        (row, value, percent)
        for row, (value, percent) in enumerate(zip(column.values, column.percent, strict=True), 1)
        if value is not None
    ]
    signed = [cell for cell in known if cell[2]]
    plain = [cell for cell in known if not cell[2]]
    if unit is None and signed and plain:
        raise _mixed(name, f"{signed[0][1]:g}%", signed[0][0], f"{plain[0][1]:g}", plain[0][0])
    if unit == "fraction" and signed:
        raise DataError(
            f"Row {signed[0][0]} of {name} is {signed[0][1]:g}%, but --unit fraction was given. "
            "Leave --unit out, or give --unit percent."
        )
    above = [cell for cell in plain if cell[1] > 1]
    below = [cell for cell in plain if 0 < cell[1] <= 1]
    if unit is None and above and below:
        raise _mixed(name, f"{above[0][1]:g}", above[0][0], f"{below[0][1]:g}", below[0][0])
    most = 100 if unit == "percent" or signed or (above and unit is None) else 1
    for row, value, _ in known:
        if value < 0 or value > most:
            raise DataError(
                f"Row {row} has the {name} {value:g}, but accuracies lie between 0 and 1, and "
                "percents between 0 and 100."
            )
    return [None if value is None else value / most for value in column.values]


def of_percent(name: str, column: Column) -> list[float | None]:
    """Return the numbers of a column that holds no accuracies; `50%` is 0.5.

    Raises:
        DataError: some numbers have a percent sign, and some have none.
    """
    known = [
        (row, value, percent)
        for row, (value, percent) in enumerate(zip(column.values, column.percent, strict=True), 1)
        if value is not None
    ]
    signed, plain = [c for c in known if c[2]], [c for c in known if not c[2]]
    if signed and plain:
        raise DataError(
            f"{name} has a percent sign in row {signed[0][0]} ({signed[0][1]:g}%) and none in row "
            f"{plain[0][0]} ({plain[0][1]:g}). Write all cells of the column alike."
        )
    return [v if v is None or not signed else v / 100 for v in column.values]


def refuse(table: str, bad: Sequence[BadCell]) -> DataError:
    """Return the error that names the first bad cell, and how many more there are."""
    more = f" and {len(bad) - 1} more cells" if len(bad) > 1 else ""
    return DataError(
        f"{table}: {bad[0]}{more}. Mend the cell, empty it where the value is not known, or leave "
        "such rows out with --skip-bad."
    )


def describe_rows(bad: Sequence[BadCell]) -> str:
    """Return the numbers of the rows with a bad cell, the first ten of them."""
    rows = sorted({cell.row for cell in bad})
    return ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")


def _read(cell: Any, *, comma: bool, decimal_comma: bool) -> tuple[float | None, bool, str]:
    """Return a cell's number, whether it has a percent sign, and why it cannot be read."""
    if is_missing(cell):
        return None, False, ""
    if isinstance(cell, bool):
        return None, False, "it is a truth value, not a number"
    if isinstance(cell, int | float):
        return float(cell), False, ""
    match = _CELL.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        return None, False, "it is not a number"
    text = match["number"]
    if "," in text:
        if not decimal_comma:
            return None, False, "its comma is no decimal point, because commas part the columns"
        if not comma:
            return None, False, "its comma may be a decimal point or part the thousands"
    return float(text.replace(",", ".")), bool(match["percent"] or match["after"]), ""


def _has_decimal_comma(cell: Any) -> bool:
    """Return whether a cell has a comma that cannot part thousands."""
    match = _CELL.fullmatch(cell.strip()) if isinstance(cell, str) else None
    return bool(match and "," in match["number"] and not _THOUSANDS.fullmatch(match["number"]))


def _mixed(name: str, one: str, one_row: int, other: str, other_row: int) -> DataError:
    return DataError(
        f"{name} mixes fractions and percents: {one} in row {one_row}, and {other} in row "
        f"{other_row}. Say which unit the column has: --unit percent or --unit fraction. For a "
        "prior, write the table anew: sweep landscape TABLE --unit percent -o NEW.parquet."
    )


def names(values: Sequence[Any]) -> list[Any]:
    """Return texts, empty ones as None, and truth values where all are true or false."""
    texts = [value if value != "" else None for value in values]
    known = {value.lower() for value in texts if isinstance(value, str)}
    if known and known <= {"true", "false"} and not any(isinstance(v, bool) for v in texts):
        return [None if value is None else value.lower() == "true" for value in texts]
    return texts
