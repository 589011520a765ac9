"""A table as text, in the three forms that every command offers; and text that may be shown.

What is shown came from anywhere: a log, a file's name, a trial's error. A terminal obeys some
characters instead of showing them, so these are escaped before they get there.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa
from rich.cells import cell_len

Form = Literal["table", "json", "csv"]


def to_text(table: pa.Table, how: Form) -> str:
    """Return the table as text.

    Args:
        table: any; nested columns become JSON where the form has none.
        how: `table`, aligned for reading, numbers to six digits; `json`, a list of objects,
            NaN and infinity as null; `csv`, with a header, null as nothing, and text as it is:
            the one form that is not for a terminal.
    """
    names = table.schema.names
    rows = list(zip(*map(_values, table.columns), strict=True))
    if how == "json":
        objects = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
        text = json.dumps(objects, indent=1, ensure_ascii=False, allow_nan=False)
        return _escaped(text, lambda letter: json.dumps(letter)[1:-1])
    if how == "csv":
        sink = io.StringIO()
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_flat(_number(value)) for value in row] for row in rows)
        return sink.getvalue().removesuffix("\n")
    return _aligned(names, rows)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; those that Python has none for, as text."""
    try:
        values: list[Any] = column.to_pylist()
    except _NO_SUCH_VALUE:
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: pa.Scalar) -> Any:
    """Return one value; a date beyond the year 9999 as text, an interval of ages as its type."""
    for convert in (scalar.as_py, lambda: scalar.cast(pa.string()).as_py()):
        try:
            return convert()
        except _NO_SUCH_VALUE:
            continue
    return f"<{scalar.type}>"


_NO_SUCH_VALUE = (ValueError, OverflowError, pa.ArrowException)


def _aligned(names: list[str], rows: list[tuple[Any, ...]]) -> str:
    columns = []
    for index, name in enumerate(names):
        values = [row[index] for row in rows]
        cells = [one_line(name), *(_cell(value) for value in values)]
        width = max(cell_len(cell) for cell in cells)
        right = all(isinstance(v, int | float | Decimal | None) for v in values)
        columns.append([_pad(cell, width, right=right) for cell in cells])
    header, *body = zip(*columns, strict=True) if columns else [()]
    rule = ["-" * cell_len(cell) for cell in header]
    return "\n".join("  ".join(line).rstrip() for line in (header, rule, *body))


def _pad(cell: str, width: int, *, right: bool) -> str:
    """Pad by cells of the terminal, of which some letters take two."""
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space


def _cell(value: Any) -> str:
    value = _number(value)
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}{value:%Z}".replace("UTC", "Z")
    return one_line(str(_flat(value)))


def one_line(text: str) -> str:
    """Escape what a terminal would obey rather than show: controls, and marks of direction."""
    return clean(text).replace("\n", "\\n")


def clean(text: str) -> str:
    """Return the text of several lines, what a terminal would obey escaped but for line ends."""
    return _escaped(text, lambda letter: letter.encode("unicode_escape").decode())


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    odd = {letter for letter in set(text) if not letter.isprintable()} - {"\n"}
    return text.translate({ord(letter): escape(letter) for letter in odd})


def _flat(value: Any) -> Any:
    """Return lists and structs as JSON text, and all else as it is."""
    if isinstance(value, list | dict | tuple):
        return json.dumps(_plain(value), ensure_ascii=False)
    return value


def _number(value: Any) -> Any:
    """Return a decimal (SQL's sum of integers is one) as the number it is."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it."""
    value = _number(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
