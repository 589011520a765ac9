"""A CSV file as a table of texts: its encoding and its delimiter are found."""

from __future__ import annotations

import codecs
import csv
import io

import pyarrow as pa

from sweep.core.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 200
"""Rows that are looked at to find the delimiter."""


def read_csv(name: str, data: bytes) -> tuple[pa.Table, str]:
    """Return the cells of a CSV file as texts, and its delimiter.

    A first line `sep=;`, which spreadsheets write, names the delimiter. Otherwise it is the one
    among `,`, `;`, tab and `|` that gives each row as many cells as the header, and the most.
    A column without a name is left out if it counts the rows, as pandas writes it.

    Args:
        name: of the file, for errors.
        data: its bytes: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DataError: the encoding is another one, the rows have different numbers of cells, or a
            column has no name or the name of another one.
    """
    text = _decoded(name, data)
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == len("sep=") + 1:
        delimiter, text = first.strip()[-1], rest
    else:
        delimiter = _delimiter(text)
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row
        ]
    except csv.Error as error:
        raise DataError(f"{name} cannot be read as a table: {error}.") from None
    if not rows:
        raise DataError(f"{name} cannot be read as a table: it is empty.")
    header, body = [cell.strip() for cell in rows[0]], rows[1:]
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise DataError(
                f"{name} cannot be read as a table: row {number} has {len(row)} cells, and the "
                f"header has {len(header)}, parted by {delimiter!r}. Quote cells that hold the "
                "delimiter."
            )
    columns = [[row[place] for row in body] for place in range(len(header))]
    kept = [i for i, title in enumerate(header) if title or not _counts_rows(columns[i])]
    _check_names(name, [header[i] for i in kept], kept)
    arrays = [pa.array(columns[i], pa.string()) for i in kept]
    return pa.table(arrays, names=[header[i] for i in kept]), delimiter


def _decoded(name: str, data: bytes) -> str:
    """Return the text of a file."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "UTF-16" if wide else "UTF-8"
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} cannot be read as a table: byte {error.start} is not {encoding}. "
            "Save the file as CSV in UTF-8."
        ) from None
    if "\0" in text:
        raise DataError(
            f"{name} cannot be read as a table: it holds zero bytes. It may be UTF-16 without a "
            "byte order mark, or no text. Save the file as CSV in UTF-8."
        )
    return text


def _delimiter(text: str) -> str:
    """Return the delimiter that gives all rows the same number of cells, and the most."""
    widths = {delimiter: _width(text, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: widths[delimiter])
    if widths[best] > 1:
        return best
    header = text.partition("\n")[0]  # no delimiter fits all rows: the error is of the likeliest
    return max(DELIMITERS, key=header.count)


def _width(text: str, delimiter: str) -> int:
    """Return the number of cells of each of the first rows; 0 if they differ."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        widths = {len(row) for row, _ in zip(filter(None, rows), range(SAMPLE), strict=False)}
    except csv.Error:
        return 0
    return widths.pop() if len(widths) == 1 else 0


def _counts_rows(column: list[str]) -> bool:
    """Return whether a column holds 0, 1, 2, ... or 1, 2, 3, ..."""
    start = column[0] if column else ""
    return start in ("0", "1") and column == [str(i + int(start)) for i in range(len(column))]


def _check_names(name: str, header: list[str], places: list[int]) -> None:
    """Raise `DataError` for a column without a name, or with the name of another."""
    for place, title in zip(places, header, strict=True):
        if not title:
            raise DataError(
                f"{name} cannot be read as a table: column {place + 1} has no name. Write one "
                "into the header, or remove the column."
            )
    seen: dict[str, int] = {}
    for place, title in zip(places, header, strict=True):
        if title in seen:
            raise DataError(
                f"{name} has two columns of one name: {title}, columns {seen[title] + 1} and "
                f"{place + 1}. Rename or remove one of them."
            )
        seen[title] = place
