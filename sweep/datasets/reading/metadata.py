"""Tables that lie beside image files and say something of each: `metadata.csv` and the like.

One column names the images: by their path below the table's folder, their name, or their name
without its suffix. Hugging Face calls it `file_name`. The other columns are known of each image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from sweep.core.errors import DataError
from sweep.datasets.reading.columns import Column, missing
from sweep.datasets.reading.found import Listing
from sweep.datasets.reading.tables import plain_columns

NAMED = 0.5
"""Share of a table's rows that must name an image at the path."""


def metadata_columns(listed: Listing) -> tuple[dict[str, Column], tuple[str, ...]]:
    """Return the columns of all tables beside the images, and sentences about the tables.

    Raises:
        DataError: two tables say different things of an image in a column of the same name, or a
            file named metadata cannot be read.
    """
    values: dict[str, list[Any]] = {}
    sources: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    classes: dict[str, tuple[str, ...] | None] = {}
    notes = list[str]()
    for place in listed.tables:
        columns = _columns(listed.root / place, strict=place.stem.lower() == "metadata")
        named = _naming(columns, listed.images, place.parent)
        if named is None:
            if columns:
                notes.append(f"{place} was not used: no column of it names the images")
            continue
        naming, rows = named
        for name, column in columns.items():
            if name == naming:
                continue
            known = values.setdefault(name, [None] * len(listed.images))
            sources.setdefault(name, []).append(str(place))
            kinds[name], classes[name] = column.kind, column.classes
            for value, row in zip(column.read(), rows, strict=True):
                if row < 0:
                    continue
                if not missing(known[row]) and known[row] != value:
                    raise DataError(
                        f"{' and '.join(sources[name][-2:])} say different things of "
                        f"{listed.images[row]}: {name} is {known[row]!r} and {value!r}. Leave one "
                        f'of them out: data.skip="{place}".'
                    )
                known[row] = value
    made = {
        name: Column(
            name=name,
            origin="metadata",
            kind=f"{kinds[name]} of {', '.join(sources[name][:2])}",
            read=lambda known=known: known,  # type: ignore[misc]  # its type is that of `known`
            classes=classes[name],
        )
        for name, known in values.items()
    }
    return made, tuple(notes)


def _naming(
    columns: dict[str, Column], images: Sequence[PurePosixPath], folder: PurePosixPath
) -> tuple[str, list[int]] | None:
    """Return the column that names images, and the image of each row, -1 for none."""
    known = _names_of(images, folder)
    best: tuple[int, str, list[int]] | None = None
    for name in sorted(columns, key=lambda name: name.lower() not in ("file_name", "filename")):
        rows = [known.get(str(value), -1) for value in columns[name].read()]
        hits = [row for row in rows if row >= 0]
        enough = len(hits) >= max(1, NAMED * len(rows)) and len(set(hits)) == len(hits)
        if enough and (best is None or len(hits) > best[0]):
            best = (len(hits), name, rows)
    return None if best is None else best[1:]


def _names_of(images: Sequence[PurePosixPath], folder: PurePosixPath) -> dict[str, int]:
    """Return what an image may be called -> its number; what would mean two images is left out."""
    names: dict[str, int] = {}
    called: Counter[str] = Counter()
    for number, image in enumerate(images):
        below = str(image.relative_to(folder)) if image.is_relative_to(folder) else str(image)
        for name in {below, str(image), image.name, image.stem, str(image.with_suffix(""))}:
            called[name] += 1
            names[name] = number
    return {name: number for name, number in names.items() if called[name] == 1}


def _columns(file: Path, *, strict: bool) -> dict[str, Column]:
    """Return the columns of a table; a file that is none has none, unless `strict`."""
    try:
        if file.suffix.lower() == ".parquet":
            return plain_columns([file])
        lines = file.suffix.lower() == ".jsonl"
        table = pyarrow.json.read_json(file) if lines else _texts(file)
        columns = {}
        for name, cells in zip(table.column_names, table.columns, strict=True):
            values = cells.to_pylist() if lines else typed_texts(cells.to_pylist())
            columns[name] = _of_values(name, str(cells.type), values)
        return columns
    except (pa.ArrowException, OSError, UnicodeError, DataError, ValueError) as error:
        if not strict:
            return {}
        raise DataError(
            f"{file} cannot be read as a table: {error}. Repair it, or leave it out by "
            f'data.skip="*{file.name}".'
        ) from error


def _texts(file: Path) -> Any:
    """Return the cells of a .csv or .tsv file as texts: `007` names an image, and 7 does not."""
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with pyarrow.csv.open_csv(file, parse_options=parse) as reader:
        names = reader.schema.names
    convert = pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        null_values=["", "nan", "NaN", "null", "NULL"],
        strings_can_be_null=True,
    )
    return pyarrow.csv.read_csv(file, parse_options=parse, convert_options=convert)


def typed_texts(texts: list[str | None]) -> list[Any]:
    """Return cells as truth values, whole numbers or numbers if all of them are, else as texts.

    A text such as `007` is no number, because the zeros would be lost.
    """
    present = [text for text in texts if text is not None]
    for read in (_truth, _whole, _number):
        try:
            known = {text: read(text) for text in set(present)}
        except ValueError:
            continue
        return [None if text is None else known[text] for text in texts]
    return list(texts)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _whole(text: str) -> int:
    number = int(text)
    if str(number) != text:
        raise ValueError(text)
    return number


def _number(text: str) -> float:
    if text[:1] == "0" and text[1:2].isdigit():
        raise ValueError(text)
    return float(text)


def _of_values(name: str, kind: str, values: list[Any]) -> Column:
    return Column(name=name, origin="metadata", kind=kind, read=lambda: values)
