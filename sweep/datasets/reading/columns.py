"""What is known of each image by name: a column of a table, of a metadata file, or of folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sweep.core.errors import DataError, unknown_name
from sweep.datasets._rows import Labels

Origin = Literal["table", "folder names", "metadata"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A value for each of N images.

    Args:
        name: of the column.
        origin: where it was found. `folder names` are folders such as `label=cat`.
        kind: its type, for sentences.
        read: returns the N values, None where there is none.
        classes: the names of the classes in their order, if the file's metadata names them; then
            the values are these names.
    """

    name: str
    origin: Origin
    kind: str
    read: Callable[[], Sequence[Any]]
    classes: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


def column_of(columns: Mapping[str, Column], name: str, key: str) -> Column:
    """Return a column by its name.

    Args:
        columns: by name.
        name: as the user typed it.
        key: the user's key, for the sentence: `data.label`.

    Raises:
        DataError: there is no such column.
    """
    if name in columns:
        return columns[name]
    if not columns:
        raise DataError(f"{key}={name}: there are no columns here. Take {key} out.")
    raise DataError(unknown_name(f"{key}, the column", name, columns))


def missing(value: Any) -> bool:
    """Return whether a value says nothing: null, NaN or an empty text."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


class NoClasses(ValueError):
    """A column whose values are no classes; its text says why."""


def as_classes(column: Column) -> tuple[Labels, tuple[str, ...]]:
    """Return class numbers from 0, -1 without a label, and the names of the classes.

    Texts are ordered as texts, numbers as numbers. -1 and missing values are no label. The numbers
    follow the order of the classes in the metadata, if it has one.

    Raises:
        NoClasses: the values are no classes.
    """
    values = column.read()
    present = {value for value in map(_key, values) if value is not None}
    if column.classes is not None:
        names = column.classes
        unknown = present - set(names) - {-1}
        if unknown:
            odd = min(map(str, unknown))
            raise NoClasses(f"it holds {odd!r:.40}, which its metadata does not name")
        keys = dict(zip(names, range(len(names)), strict=True))
    else:
        present.discard(-1)
        if fault := _fault(present):
            raise NoClasses(fault)
        ordered = sorted(present)
        names = tuple(_name(value) for value in ordered)
        keys = {value: number for number, value in enumerate(ordered)}
    labels = np.array([keys.get(_key(value), -1) for value in values], np.int64)
    return labels, names


def _key(value: Any) -> Any:
    """Return a value that can be compared: whole floats are integers, unusable types are text."""
    if missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool | int | float | str):
        return value
    return _Unusable(type(value).__name__)


@dataclass(frozen=True)
class _Unusable:
    """A value of a type that is no class."""

    kind: str


def _fault(present: set[Any]) -> str | None:
    """Return why values are no classes, or None."""
    odd = [value for value in present if isinstance(value, _Unusable)]
    if any(value.kind in ("list", "tuple", "ndarray") for value in odd):
        return "it holds lists: several classes for an image are not read"
    if odd:
        return f"it holds values of the type {odd[0].kind}"
    if fractions := [value for value in present if isinstance(value, float)]:
        return f"it holds {min(fractions):g}, and classes are texts, truth values or whole numbers"
    texts = sum(isinstance(value, str) for value in present)
    if 0 < texts < len(present):
        return "it holds texts and numbers"
    return None


def _name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
