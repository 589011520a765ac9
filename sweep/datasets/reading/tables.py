"""Tables of images in Parquet: which columns they have, and how their rows are read.

An image is in a column `struct<bytes, path>`, as Hugging Face's `datasets` writes it, or in one of
binary values. The classes of a column are those that the metadata of `datasets` names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.core.errors import DataError
from sweep.datasets._rows import Indices
from sweep.datasets.pixels.many import Named
from sweep.datasets.reading.columns import Column
from sweep.datasets.reading.found import Found, Listing

BATCH_ROWS = 64
"""Rows of compressed images that are read at once."""
BUFFER_BYTES = 2**22
"""Bytes of a column that are read at once; without it Arrow reads all images of a row group."""
PANDAS_INDEX = "__index_level_"


def holds_images(file: Path) -> bool:
    """Return whether a Parquet file has a column of images; True where it cannot be read."""
    try:
        return bool(_image_columns(pq.read_schema(file)))
    except (pa.ArrowException, OSError):
        return True


def tables(listed: Listing, shards: Sequence[PurePosixPath], image: str | None) -> Found:
    """Return the rows of the shards of a table.

    Args:
        listed: what lies at the path.
        shards: the files of the table.
        image: name of the column of images, if several are possible.

    Raises:
        DataError: no column of images, a damaged file, or shards that differ in their columns.
    """
    files = [listed.root / shard for shard in shards]
    schemas = [_schema(file) for file in files]
    image = _image_column(image, schemas[0], files[0])
    for file, schema in zip(files, schemas, strict=True):
        _check_columns(schema, schemas[0], image, file)
    counts = [_opened(file).metadata.num_rows for file in files]
    first = np.cumsum([0, *counts])

    def read(rows: Indices) -> Iterator[Named]:
        for shard, file, start, stop in zip(shards, files, first, first[1:], strict=False):
            inside = rows[(rows >= start) & (rows < stop)] - start
            if len(inside):
                yield from _read(str(shard), file, image, inside)

    return Found(
        what="tables",
        root=listed.root,
        places=tuple(shards),
        place_of=np.repeat(np.arange(len(shards)), counts),
        read=read,
        columns=_columns(files, schemas, image),
        skipped=listed.skipped,
    )


def plain_columns(files: Sequence[Path]) -> dict[str, Column]:
    """Return the columns of Parquet files without images, as `tables` does."""
    return _columns(files, [_schema(file) for file in files], "")


def _columns(files: Sequence[Path], schemas: Sequence[Any], image: str) -> dict[str, Column]:
    """Return each column but the images and the index of pandas."""
    named = [_named_classes(schema) for schema in schemas]
    columns = {}
    for place in schemas[0]:
        name = place.name
        if name == image or name.startswith(PANDAS_INDEX) or _is_image(place.type):
            continue
        classes = [tables.get(name) for tables in named]
        order = tuple(dict.fromkeys(c for shard in classes for c in shard or ()))
        columns[name] = Column(
            name=name,
            origin="table",
            kind=str(place.type),
            read=_Values(files, name, classes),
            classes=order or None,
        )
    return columns


class _Values:
    """The values of a column in all shards, read once; numbers of classes become their names."""

    def __init__(
        self, files: Sequence[Path], name: str, classes: Sequence[tuple[str, ...] | None]
    ) -> None:
        self._files, self._name, self._classes = files, name, classes
        self._values: list[Any] | None = None

    def __call__(self) -> list[Any]:
        if self._values is None:
            if any(self._classes) and not all(self._classes):
                lacking = self._files[self._classes.index(None)]
                raise DataError(
                    f"The metadata of some shards names the classes of the column {self._name!r}, "
                    f"and that of {lacking} does not, so its numbers may mean other classes. Add "
                    "the names there, or leave the shard out by data.skip."
                )
            self._values = []
            for file, names in zip(self._files, self._classes, strict=True):
                self._values += _named_values(_values(file, self._name), names, file, self._name)
        return self._values


def _values(file: Path, name: str) -> list[Any]:
    with _readable(file):
        column = pq.read_table(file, columns=[name])[name]
        try:
            values: list[Any] = column.to_pylist()
        except (ValueError, OverflowError):  # dates that Python has no type for
            values = column.cast(pa.string()).to_pylist()
    if len(values) != _opened(file).metadata.num_rows:
        raise _damaged(file)
    return values


def _damaged(file: Path) -> DataError:
    return DataError(
        f"{file} holds another number of rows than it says. Repair it, or download it again."
    )


def _named_values(
    values: list[Any], names: tuple[str, ...] | None, file: Path, column: str
) -> list[Any]:
    """Return the names of a shard's class numbers; -1 and None stay as they are."""
    if names is None:
        return values
    out = list[Any]()
    for value in values:
        if isinstance(value, int) and 0 <= value < len(names):
            out.append(names[value])
        elif value is None or value == -1 or isinstance(value, str):
            out.append(value)
        else:
            raise DataError(
                f"The column {column!r} of {file} holds the label {value!r:.40}, but the metadata "
                f"names {len(names)} classes. Correct the names or the labels."
            )
    return out


def _named_classes(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return column -> names of the classes, from the `huggingface` metadata; {} without it."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            str(column): tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
            if feature["names"]
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _check_columns(schema: Any, wanted: Any, image: str, file: Path) -> None:
    """Refuse a shard that lacks a column of the first one, or has it with another kind."""
    lacking = [name for name in wanted.names if name not in schema.names]
    if image not in schema.names or lacking:
        raise DataError(
            f"{file} has no column {(image if image not in schema.names else lacking[0])!r}, but "
            f"the first shard has it. Its columns: {', '.join(schema.names)}. Give shards of a "
            "single table, or leave some out by data.skip."
        )
    if not _is_image(schema.field(image).type):
        raise DataError(
            f"The column {image!r} of {file} is {schema.field(image).type}, which holds no images. "
            "Give shards of a single table, or leave some out by data.skip."
        )


def _image_columns(schema: Any) -> list[str]:
    return [place.name for place in schema if _is_image(place.type)]


def _is_image(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _image_column(given: str | None, schema: Any, file: Path) -> str:
    """Return the column of images, which is given, named `image`, or the only one."""
    images = _image_columns(schema)
    image = given or ("image" if "image" in images else None)
    if image is None and len(images) == 1:
        image = images[0]
    if image in images and schema.names.count(image) == 1:
        return str(image)
    columns = ", ".join(f"{place.name} ({place.type})" for place in schema)
    if images:
        fault = "several columns of images" if given is None else f"no column of images {given!r}"
        raise DataError(f"{file} has {fault}: {columns}. Type data.image={images[0]}.")
    raise DataError(
        f"{file} has no column of images (struct<bytes, path> or binary). Its columns: {columns}. "
        "Give Parquet files that hold compressed images, PNG or JPEG."
    )


def _schema(file: Path) -> Any:
    schema = _opened(file).schema_arrow
    if twice := {name for name in schema.names if schema.names.count(name) > 1}:
        raise DataError(
            f"{file} has several columns named {min(twice)!r}. Write it with one name for each."
        )
    return schema


def _opened(file: Path, *, buffer: int = 0) -> Any:
    with _readable(file):
        return pq.ParquetFile(file, buffer_size=buffer)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn an error of Arrow into a `DataError`; pages may fail after the file was opened."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{file} cannot be read as Parquet: {error}. Repair it, or download it again."
        ) from error


def _read(shard: str, file: Path, image: str, rows: Indices) -> Iterator[Named]:
    """Yield (name, bytes) of ascending rows; row groups that hold none of the rows are not read."""
    opened = _opened(file, buffer=BUFFER_BYTES)
    sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    first = np.cumsum([0, *sizes])
    groups = [
        group
        for group in range(opened.num_row_groups)
        if np.searchsorted(rows, first[group + 1]) > np.searchsorted(rows, first[group])
    ]
    present = np.concatenate([np.arange(first[group], first[group + 1]) for group in groups])
    start = 0
    with _readable(file):
        for batch in opened.iter_batches(BATCH_ROWS, row_groups=groups, columns=[image]):
            numbers = present[start : start + len(batch)]
            start += len(batch)
            if len(numbers) < len(batch):
                raise _damaged(file)
            wanted = np.flatnonzero(np.isin(numbers, rows, assume_unique=True))
            column = batch.column(0)
            if pa.types.is_struct(column.type):
                column = pc.struct_field(column, "bytes")
            for row, value in zip(numbers[wanted], column.take(pa.array(wanted)), strict=True):
                yield f"{shard}:{row}", value.as_py()
    if start != len(present):
        raise _damaged(file)
