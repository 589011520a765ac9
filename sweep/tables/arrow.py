"""Rows as Arrow tables: the type of a value, and how a value that does not fit is handled."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from sweep.core.errors import SweepError

Row = dict[str, Any]
_INT64 = 2**63


class Stale(SweepError):
    """The earlier table cannot take these events: build the table from the first event."""


def add_to(row: Row, name: str, amount: float = 1) -> None:
    """Add to a number of the row; a missing number is 0."""
    row[name] = (row.get(name) or 0) + amount


def point_in_time(seconds: float) -> datetime | None:
    """Return seconds since the epoch as a time in UTC; None if no calendar holds it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a forged log may hold any number
        return None


def to_json(value: Any) -> str:
    """Return compact JSON; NaN and infinity, which JSON does not have, are null."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:  # infinity, for example `1e999` in a forged log
        return json.dumps(finite(value), separators=(",", ":"))


def finite(value: Any) -> Any:
    """Return the same JSON with null in place of NaN and infinity."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_type(value: Any, kind: pa.DataType) -> Any:
    """Return the value converted to a column's type, or None if it does not fit."""
    if kind == pa.string():
        return value if isinstance(value, str) else None
    if pa.types.is_timestamp(kind):
        return value if isinstance(value, datetime) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == pa.float64():
        return float(value) if abs(value) < 1e308 else None
    return int(value) if abs(value) < _INT64 and int(value) == value else None


def kind_of(value: Any) -> pa.DataType:
    """Return the type of a column that can hold the value; text if no other type can."""
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int) and abs(value) < _INT64:
        return pa.int64()
    return pa.float64() if isinstance(value, float) else pa.string()


def common_type(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """Return the type that holds both: numbers as numbers, anything else as text."""
    kinds = {left, right} - {pa.null()}
    if len(kinds) == 1:
        return kinds.pop()
    return pa.float64() if kinds == {pa.int64(), pa.float64()} else pa.string()


def to_arrow(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; a key that a row lacks is null."""
    text = {field.name for field in schema if field.type == pa.string()}
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.name in text:
            values = [_text(value) for value in values]
        try:
            columns.append(pa.array(values, field.type))
        except (
            pa.ArrowException,
            TypeError,
            OverflowError,
        ):  # a user's trial may put anything into `r2`
            columns.append(pa.array([as_type(value, field.type) for value in values], field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _text(value: Any) -> str | None:
    """Return text, with "?" for what UTF-8 cannot encode; return other values as JSON."""
    if value is None:
        return None
    text = value if isinstance(value, str) else to_json(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table in a schema; columns that the table lacks are null."""
    columns = [
        table[field.name]
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def reader(data: bytes | memoryview) -> pa.BufferReader:
    """Return a file of Arrow over a copy of the data that Arrow owns.

    Arrow's threads may let go of a buffer after their work is done. If Python owns the buffer, they
    need the interpreter for that, and the process is aborted if the interpreter is about to end.
    """
    buffer = pa.allocate_buffer(len(data))
    memoryview(buffer).cast("B")[:] = data
    return pa.BufferReader(buffer)
