"""Choose what the class of an image is: a column, the class folders, or nothing.

In this order: `data.label`; a column whose classes the metadata of Hugging Face names; a column
named like a label; class folders; folders such as `label=cat`; a metadata file beside the images.
Two candidates on the same step that divide the images in two ways are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.core.errors import DataError
from sweep.datasets._rows import Labels
from sweep.datasets.reading.columns import Column, NoClasses, as_classes, column_of
from sweep.datasets.reading.found import Found
from sweep.datasets.reading.keys import NONE
from sweep.datasets.reading.words import part_of

NAMES = ("label", "labels", "target", "class")
"""Names of columns that are labels."""
SECOND = ("fine_label", "category", "diagnosis", "species")
"""Names of columns that are labels where exactly one of them is there and none of `NAMES`."""
MOST_CLASSES = 0.5
"""Classes for each labelled image beyond which a column is no label: it names the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The labels of N images.

    Args:
        labels: class numbers, int64 [N], -1 without a label; None if the images have no labels.
        classes: their names.
        column: the column, or None for class folders and for no labels.
        why: the reason of the choice.
    """

    labels: Labels | None
    classes: tuple[str, ...]
    column: str | None
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """One way to read labels."""

    column: str | None
    why: str
    labels: Labels
    classes: tuple[str, ...]


def choose_labels(found: Found, folders: Sequence[str] | None, label: str | None) -> Chosen:
    """Return the labels of the images at a path.

    Args:
        found: the images and their columns.
        folders: the class folder of each place, "" without one; None if there are none.
        label: `data.label`.

    Raises:
        DataError: several readings, or a column that holds no classes.
    """
    if label == NONE:
        return Chosen(labels=None, classes=(), column=None, why='data.label = "none"')
    if label is not None:
        column = column_of(found.columns, label, "data.label")
        return _named(column)
    rejected = list[str]()
    for readings in _steps(found, folders, rejected):
        if readings:
            return _only(readings)
    return Chosen(labels=None, classes=(), column=None, why=_why_none(found, rejected))


def _steps(
    found: Found, folders: Sequence[str] | None, rejected: list[str]
) -> Iterator[list[_Reading]]:
    """Yield the readings of each step, in the order of the steps; note why columns are no label.

    A metadata file has to agree with the class folders, so both are read on one step.
    """
    yield _of_columns(_with_named_classes(found), rejected)
    yield _of_columns(_by_name(found, "table"), rejected)
    by_folders = _of_folders(found, folders, rejected)
    by_metadata = _of_columns(_by_name(found, "metadata"), rejected)
    yield [*by_folders, *by_metadata] if by_folders else []
    yield _of_columns(_by_name(found, "folder names"), rejected)
    yield by_metadata


def _named(column: Column) -> Chosen:
    """Return the labels of the column that the user named, or refuse it."""
    try:
        labels, classes = as_classes(column)
        _check_label(labels)
    except NoClasses as fault:
        raise DataError(
            f"data.label={column.name}: {fault}. Name a column of classes, or type "
            'data.label="none" to read no labels.'
        ) from fault
    return Chosen(
        labels=labels, classes=classes, column=column.name, why=f"data.label = {column.name!r}"
    )


def _with_named_classes(found: Found) -> list[tuple[Column, str]]:
    """Return the columns whose classes the metadata names; of several, those named like a label."""
    columns = [column for column in found.columns.values() if column.classes is not None]
    named = [column for column in columns if column.name.lower() in NAMES]
    return [(column, "its metadata names the classes") for column in named or columns]


def _by_name(found: Found, origin: str) -> list[tuple[Column, str]]:
    """Return the columns of an origin that are named like a label, and why they may be it."""
    own = [column for column in found.columns.values() if column.origin == origin]
    where = {"table": "the column", "metadata": "a metadata file has a column"}
    for names in (NAMES, SECOND):
        if named := [column for column in own if column.name.lower() in names]:
            why = f"{where.get(origin, 'folders')} named {named[0].name}"
            return [(column, why) for column in named]
    return []


def _of_columns(columns: Sequence[tuple[Column, str]], rejected: list[str]) -> list[_Reading]:
    """Return the columns that hold classes; note why others do not."""
    readings = []
    for column, why in columns:
        try:
            labels, classes = as_classes(column)
            _check_label(labels)
        except NoClasses as fault:
            rejected.append(f"{column.name}: {fault}")
        else:
            readings.append(_Reading(column=column.name, why=why, labels=labels, classes=classes))
    return readings


def _of_folders(found: Found, folders: Sequence[str] | None, rejected: list[str]) -> list[_Reading]:
    """Return the reading of class folders, or nothing."""
    if folders is None or found.what != "files":
        return []
    names = sorted({folder for folder in folders if folder and part_of(folder) != "unlabelled"})
    number = {name: index for index, name in enumerate(names)}
    labels = np.array([number.get(folder, -1) for folder in folders], np.int64)
    if len(names) < 2:
        return []
    try:
        _check_label(labels)
    except NoClasses as fault:
        rejected.append(f"folders: {fault}")
        return []
    why = "a folder for each class"
    return [_Reading(column=None, why=why, labels=labels, classes=tuple(names))]


def _check_label(labels: Labels) -> None:
    """Raise `NoClasses` for labels that tell the images apart too little or too much."""
    labelled = labels[labels >= 0]
    present = len(np.unique(labelled))
    if present < 2:
        raise NoClasses("no image has a label" if not present else "all images have the same label")
    if present > MOST_CLASSES * len(labelled):
        raise NoClasses(f"it has {present} classes for {len(labelled)} images")


def _only(readings: Sequence[_Reading]) -> Chosen:
    """Return the only reading; refuse several that divide the images in several ways."""
    first = readings[0]
    if any(not _agree(first.labels, other.labels) for other in readings[1:]):
        told = " or ".join(
            f"{'the class folders' if reading.column is None else repr(reading.column)} "
            f"({len(reading.classes)} classes: {', '.join(reading.classes[:3])}, ...)"
            for reading in readings
        )
        typed = next(reading.column for reading in readings if reading.column is not None)
        raise DataError(
            f"The labels may be {told}. Type data.label={typed} or another of these columns"
            + (
                ", or leave the metadata file out by data.skip."
                if first.column is None
                else ', or data.label="none".'
            )
        )
    return Chosen(labels=first.labels, classes=first.classes, column=first.column, why=first.why)


def _agree(a: Labels, b: Labels) -> bool:
    """Return whether two labels divide the images that both label into the same classes."""
    both = (a >= 0) & (b >= 0)
    pairs = np.unique(np.stack([a[both], b[both]]), axis=1)
    return bool(pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1])))


def _why_none(found: Found, rejected: Sequence[str]) -> str:
    """Return why no column is the label, and which there are."""
    if rejected:
        return "; ".join(rejected)
    others = [name for name in found.columns if name.lower() != "split"]
    if others:
        names = ", ".join(others[:8])
        return (
            "no column is named label, labels, target or class; "
            f"data.label=COLUMN names one of {names}"
        )
    return "no class folders and no columns"
