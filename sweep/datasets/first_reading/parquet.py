"""Image tables in Parquet, in the layout of Hugging Face's `datasets`.

A table has a column of images (`struct<bytes, path>`, or binary) and optionally a column of
integer labels; the schema's `huggingface` metadata may name the classes. The data is one file, or
a folder of shards whose names say the split: `data/train-00000-of-00002.parquet`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.config.models import DataConfig
from sweep.core.errors import DataError, unknown_name
from sweep.datasets._checks import existing_path
from sweep.datasets._rows import Indices, Labels, Name, split_rows
from sweep.datasets.first_reading.assemble import Source, assemble
from sweep.datasets.first_reading.decode import Encoded
from sweep.datasets.first_reading.files import PARQUET_SUFFIXES, walk
from sweep.datasets.first_reading.split_name import split_name
from sweep.datasets.images import Splits

BATCH_ROWS = 512
"""Rows of compressed images that are read at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names of the image column, of the label column if there is one, and of the classes."""

    image: str
    label: str | None
    classes: tuple[str, ...]


def parquet(
    *, image: str | None = None, label: str | None = None
) -> Callable[[DataConfig], Splits]:
    """Return what reads Parquet image tables.

    Args:
        image, label: names of the columns, if several columns are possible.
    """
    return partial(_read_table, image=image, label=label)


def _read_table(config: DataConfig, *, image: str | None, label: str | None) -> Splits:
    """Read images from the Parquet file or folder of shards at `config.path`.

    Args:
        config: `path`, `size` in pixels, `limit`; `validation` and `test`, shares of the
            training rows, if no shard is named after these splits.
        image, label: see `parquet`.

    Raises:
        DataError: no Parquet file or no column of images, labels out of range, or mixed sizes.
    """
    root = existing_path(config)
    shards = list(walk(root, PARQUET_SUFFIXES))
    if not shards:
        raise DataError(
            f"data.path={config.path} holds no .parquet file. Give one, or a folder of shards."
        )
    columns = _columns(_open(shards[0]).schema_arrow, shards[0], image, label)
    counts = [_count(shard, columns) for shard in shards]
    labels = None if columns.label is None else _labels(shards, columns.label)
    classes = columns.classes
    if labels is not None:
        labels, classes = _numbered(labels, columns)
    first = np.cumsum([0, *counts])

    def read(rows: Indices) -> Iterator[tuple[str, Encoded]]:
        for shard, start, stop in zip(shards, first, first[1:], strict=False):
            inside = rows[(rows >= start) & (rows < stop)] - start
            if len(inside):
                yield from _read(shard, columns.image, inside)

    rows = split_rows(_given(root, shards, first, config), labels, config)
    return assemble(Source(read=read, labels=labels, classes=classes), rows, config)


def _given(
    root: Path, shards: list[Path], first: Indices, config: DataConfig
) -> dict[Name, Indices]:
    """Return the row numbers of each split; a shard whose name says no split belongs to train."""
    given: dict[Name, Indices] = {}
    for shard, start, stop in zip(shards, first, first[1:], strict=False):
        in_name = None if shard == root else split_name(shard.relative_to(root).with_suffix(""))
        name: Name = in_name or "train"
        rows = np.arange(start, stop)
        given[name] = np.concatenate([given[name], rows]) if name in given else rows
    if "train" not in given:
        raise DataError(
            f"data.path={config.path} holds shards named {' and '.join(sorted(given))} only. "
            "Name the training shards train*.parquet, or give a single file."
        )
    return given


def _open(shard: Path) -> Any:
    with _readable(shard):
        return pq.ParquetFile(shard)


@contextmanager
def _readable(shard: Path) -> Iterator[None]:
    """Turn an error of Arrow into a `DataError`; pages may fail after the file was opened."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{shard} cannot be read as Parquet: {error}. Repair it, or download it again."
        ) from error


def _columns(schema: Any, shard: Path, image: str | None, label: str | None) -> Columns:
    """Choose the column of images and the column of labels, by type and by name."""
    images = [column.name for column in schema if _holds_images(column.type)]
    integers = [column.name for column in schema if pa.types.is_integer(column.type)]
    image = image or ("image" if "image" in images else None)
    if image is None and len(images) == 1:
        image = images[0]
    if image is None or image not in images:
        raise DataError(_no_image(image, images, schema, shard))
    label = label or ("label" if "label" in integers else None)
    if label is None and len(integers) == 1:
        label = integers[0]
    if label is not None and label not in integers:
        raise DataError(
            unknown_name(f"data.label of {shard}, a column of integers,", label, integers)
        )
    return Columns(image=image, label=label, classes=_class_names(schema, label))


def _holds_images(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _no_image(given: str | None, images: list[str], schema: Any, shard: Path) -> str:
    """Return the error sentence: which columns the table has, and what to type."""
    columns = ", ".join(f"{column.name} ({column.type})" for column in schema)
    if images:
        fault = "several columns of images" if given is None else f"no column of images {given!r}"
        return f"{shard} has {fault}: {columns}. Type data.image={images[0]}."
    return (
        f"{shard} has no column of images (struct<bytes, path> or binary). Its columns: "
        f"{columns}. Give Parquet files that hold compressed images, PNG or JPEG."
    )


def _class_names(schema: Any, label: str | None) -> tuple[str, ...]:
    """Return `info.features.LABEL.names` of the `huggingface` metadata; () if it is absent."""
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(str(name) for name in metadata["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _count(shard: Path, columns: Columns) -> int:
    """Return the number of rows; refuse a shard that lacks the columns of the first shard."""
    file = _open(shard)
    for name in (columns.image, columns.label):
        if name is not None and name not in file.schema_arrow.names:
            raise DataError(
                f"{shard} has no column {name!r}, but other shards have it. Its columns: "
                f"{', '.join(file.schema_arrow.names)}. Give shards of a single table."
            )
    return int(file.metadata.num_rows)


def _labels(shards: list[Path], label: str) -> Labels:
    """Return the labels of all shards, int64 [N], -1 for null."""
    parts = []
    for shard in shards:
        with _readable(shard):
            column = pq.read_table(shard, columns=[label])[label].cast(pa.int64())
            parts.append(pc.fill_null(column, -1).to_numpy())
    return np.concatenate(parts)


def _numbered(labels: Labels, columns: Columns) -> tuple[Labels, tuple[str, ...]]:
    """Return labels from 0 and the names of the classes.

    If the metadata names no classes, the values that occur are numbered in ascending order.
    """
    known = labels[labels >= 0]
    if not columns.classes:
        values = np.unique(known)
        numbered = np.where(labels >= 0, np.searchsorted(values, labels), -1)
        return numbered, tuple(str(value) for value in values)
    if len(known) and known.max() >= len(columns.classes):
        raise DataError(
            f"The column {columns.label!r} holds the label {known.max()}, but the metadata "
            f"names {len(columns.classes)} classes. Correct the names or the labels."
        )
    return labels, columns.classes


def _read(shard: Path, image: str, rows: Indices) -> Iterator[tuple[str, Encoded]]:
    """Yield (name, bytes) of ascending rows; row groups that hold none of the rows are not read."""
    file = _open(shard)
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    first = np.cumsum([0, *sizes])
    groups = [
        group
        for group in range(file.num_row_groups)
        if np.searchsorted(rows, first[group + 1]) > np.searchsorted(rows, first[group])
    ]
    present = np.concatenate([np.arange(first[group], first[group + 1]) for group in groups])
    start = 0
    with _readable(shard):
        for batch in file.iter_batches(BATCH_ROWS, row_groups=groups, columns=[image]):
            numbers = present[start : start + len(batch)]
            start += len(batch)
            wanted = np.flatnonzero(np.isin(numbers, rows, assume_unique=True))
            column = batch.column(0)
            if pa.types.is_struct(column.type):
                column = pc.struct_field(column, "bytes")
            for row, value in zip(numbers[wanted], column.take(pa.array(wanted)), strict=True):
                yield f"{shard.name}:{row}", value.as_py()
