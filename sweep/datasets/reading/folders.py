"""What folder names say: the level that names splits, and the level that names classes.

A place is the path of an image file, or of a shard of a table, below the path that was given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from sweep.core.errors import DataError
from sweep.datasets.reading.keys import NAMES, NONE
from sweep.datasets.reading.words import Part, part_of, split_of

HIVE = re.compile(r"([A-Za-z_][\w-]*)=(.*)")
"""A folder such as `label=cat`."""
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
MASKS = re.compile(r"(masks?|segmentations?|annotations?|ground[ _-]?truths?|gt|labels?)", re.I)
"""Folder names of pictures that are the answer to a task rather than its images."""

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """What the folders of N places say.

    Args:
        parts: the split of each place; None if folders name no splits.
        classes: the class folder of each place, "" if it lies in none; None if there are none.
    """

    parts: list[Part] | None
    classes: list[str] | None


def hive(places: Sequence[PurePosixPath]) -> tuple[dict[str, list[str | None]], list[Parts]]:
    """Return the columns that folders such as `label=cat` make, and the other folders."""
    columns: dict[str, list[str | None]] = {}
    rest: list[Parts] = []
    for number, place in enumerate(places):
        others = []
        for part in place.parent.parts:
            match = HIVE.fullmatch(part)
            if match is None:
                others.append(part)
                continue
            values = columns.setdefault(match[1], [None] * len(places))
            text = unquote(match[2])
            values[number] = None if text == HIVE_NULL else text
        rest.append(tuple(others))
    return columns, rest


def read_folders(folders: Sequence[Parts], *, split: str | None, path: str) -> Folders:
    """Return what the folders say, or refuse what can be read in two ways.

    Args:
        folders: of each place, from the top; without those of `hive`.
        split: `data.split`.
        path: `data.path`, for the sentences.

    Raises:
        DataError: names of splits beside other names on one level, or below the class folders.
    """
    if split == NAMES:
        return _any_level(folders)
    rest = [*folders]
    parts: list[Part] | None = None
    while True:
        names = sorted({place[0] for place in rest if place})
        if not names:
            break
        said = [part_of(name) for name in names]
        if split != NONE and any(part not in (None, "unlabelled") for part in said):
            if parts is None:
                parts = _split_level(rest, names, path)
            elif not _repeats(rest, parts):
                break
        elif len(names) > 1:
            break
        rest = [place[1:] for place in rest]
    classes = [place[0] if place else "" for place in rest]
    _refuse_inner(rest, split, path)
    return Folders(parts=parts, classes=classes if any(classes) else None)


def _split_level(rest: Sequence[Parts], names: Sequence[str], path: str) -> list[Part]:
    """Return the split of each place, which the names of this level say."""
    others = [name for name in names if part_of(name) is None]
    loose = sum(not place for place in rest)
    if others or loose:
        words = [name for name in names if part_of(name) is not None]
        beside = ", ".join(others[:4]) or f"{loose} files"
        skip = f'data.skip="{others[0]}/*"' if others else 'data.skip="FILE"'
        raise DataError(
            f"data.path={path} has folders that name splits ({', '.join(words)}) beside {beside}. "
            f'Type {skip} to leave that out, data.split="none" to read every folder as a class, '
            "or data.path=PATH of the folder that holds the splits alone."
        )
    said = [part_of(place[0]) for place in rest]
    return [part for part in said if part is not None]


def _repeats(rest: Sequence[Parts], parts: Sequence[Part]) -> bool:
    """Return whether this level says the same splits again: `seg_train/seg_train/CLASS`."""
    return all(place and part_of(place[0]) == part for place, part in zip(rest, parts, strict=True))


def _refuse_inner(rest: Sequence[Parts], split: str | None, path: str) -> None:
    """Refuse class folders that hold splits, or images beside their masks."""
    inner = sorted({name for place in rest for name in place[1:]})
    if split is None and (words := [name for name in inner if split_of(name) is not None]):
        raise DataError(
            f"data.path={path} has folders that name splits ({', '.join(words[:4])}) inside other "
            'folders. Type data.split="names" to read them as splits and the other folders as '
            'classes, or data.split="none" to ignore them.'
        )
    tops = {place[0] for place in rest if place}
    masks = [name for name in {*inner, *tops} if MASKS.fullmatch(name)]
    if split != NONE and masks and len({*inner, *tops}) > 1:
        raise DataError(
            f"data.path={path} has folders named {', '.join(sorted(masks))} beside or inside "
            "folders of images, so some pictures may be masks. Type "
            f'data.skip="*{sorted(masks)[0]}/*" to leave them out, or data.split="none" to read '
            "every picture as an image."
        )


def _any_level(folders: Sequence[Parts]) -> Folders:
    """Return the split that the first word in any folder of a place says, and its other folders."""
    parts: list[Part | None] = []
    rest: list[Parts] = []
    for place in folders:
        level = next((n for n, name in enumerate(place) if part_of(name) is not None), None)
        parts.append(None if level is None else part_of(place[level]))
        rest.append(tuple(name for n, name in enumerate(place) if n != level))
    while len({place[0] if place else "" for place in rest}) == 1 and rest[0]:
        rest = [place[1:] for place in rest]
    classes = [place[0] if place else "" for place in rest]
    complete = [part for part in parts if part is not None]
    return Folders(
        parts=complete if len(complete) == len(parts) else None,
        classes=classes if any(classes) else None,
    )
