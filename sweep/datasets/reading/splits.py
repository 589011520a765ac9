"""Which split each image was given to: by a column, by folders, or by file names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.core.errors import DataError
from sweep.datasets.reading.columns import Column, column_of, missing
from sweep.datasets.reading.folders import Folders
from sweep.datasets.reading.found import Found
from sweep.datasets.reading.keys import NAMES, NONE
from sweep.datasets.reading.words import Part, part_of, split_of

SPLIT = "split"
"""Name of a column that says the split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the data says of its splits.

    Args:
        parts: the split of each image, or None if the data names no splits.
        origin: `names` or `column`.
        notes: sentences about words that were not used.
    """

    parts: list[Part] | None
    origin: str = "names"
    notes: tuple[str, ...] = field(default=())


def given_splits(found: Found, folders: Folders, *, split: str | None, path: str) -> Given:
    """Return the splits that the data has.

    Args:
        found: the images and their columns.
        folders: what the folders say of the places.
        split: `data.split`.
        path: `data.path`, for the sentences.

    Raises:
        DataError: names of splits beside names of none, a column that disagrees with the folders,
            or a value that is no split.
    """
    if split == NONE:
        return Given(parts=None)
    if split not in (None, NAMES):
        assert split is not None
        column = column_of(found.columns, split, "data.split")
        return Given(parts=_of_column(column), origin="column")
    names, notes = _of_names(found, folders, forced=split == NAMES, path=path)
    column_named = next((c for c in found.columns.values() if c.name.lower() == SPLIT), None)
    if split == NAMES or column_named is None:
        return Given(parts=names, notes=notes)
    parts = _of_column(column_named)
    if names is not None and names != parts:
        raise DataError(
            f"The column {column_named.name!r} and the names of folders or files say different "
            f'splits. Type data.split={column_named.name} or data.split="names".'
        )
    return Given(parts=parts, origin="column")


def _of_column(column: Column) -> list[Part]:
    """Return the split of each image, which a column says."""
    values = list(column.read())
    known: dict[object, Part] = {}
    for value in {repr(value): value for value in values}.values():
        part = None if missing(value) else part_of(str(value))
        if part is None:
            shown = "nothing" if missing(value) else f"{value!r:.40}"
            raise DataError(
                f"The column {column.name!r} holds {shown}, which is no split: train, validation "
                '(valid, val, dev), test (eval) or unlabelled. Type data.split="none" to draw the '
                "splits, or name another column."
            )
        known[repr(value)] = part
    return [known[repr(value)] for value in values]


def _of_names(
    found: Found, folders: Folders, *, forced: bool, path: str
) -> tuple[list[Part] | None, tuple[str, ...]]:
    """Return the split of each image, which folders or else file names say."""
    notes: tuple[str, ...] = ()
    if folders.parts is not None:
        places: Sequence[Part] | None = folders.parts
    elif len(found.places) == 1:
        places = None
    else:
        places, notes = _of_stems(found, path=path, forced=forced)
    if places is None:
        if forced:
            raise DataError(
                f'data.split="names": no folder and no file at {path} names a split. Type '
                'data.split="none" to draw the splits.'
            )
        return None, notes
    return [places[number] for number in found.place_of], notes


def _of_stems(
    found: Found, *, path: str, forced: bool
) -> tuple[list[Part] | None, tuple[str, ...]]:
    """Return the split of each file, which its name says; refuse a mixture that may be splits."""
    said = [part_of(place.stem) for place in found.places]
    named = {split_of(place.stem) for place in found.places} - {None}
    if not named:
        return None, ()
    without = [str(place) for place, part in zip(found.places, said, strict=True) if part is None]
    if not without:
        return [part for part in said if part is not None], ()
    few = len(named) == 1 and found.what == "files"
    if few and not forced:
        count = sum(part is not None for part in said)
        return None, (
            f"{count} file names hold the word of a split ({', '.join(map(str, named))}) and were "
            "not read as a split",
        )
    raise DataError(
        f"data.path={path} has files whose names say a split ({', '.join(sorted(map(str, named)))})"
        f" beside {len(without)} that say none: {', '.join(without[:3])}. Rename them, leave them "
        f'out by data.skip="{without[0]}", or type data.split="none" to draw the splits.'
    )
