"""What lies at a path: the images, in files or in the rows of tables, and what is skipped.

Links to folders are followed; a link to a folder above itself is not. A link to nothing counts as
an image that cannot be decoded if its name is that of an image.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from PIL import Image

from sweep.core.errors import DataError
from sweep.datasets._rows import Indices
from sweep.datasets.pixels.many import Named
from sweep.datasets.pixels.picture import ERRORS, FORMATS
from sweep.datasets.reading.columns import Column

NO_IMAGES = frozenset(
    {
        ".7z", ".avi", ".bin", ".cfg", ".csv", ".db", ".doc", ".docx", ".eps", ".gz", ".h5",
        ".hdf", ".hdf5", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl", ".log", ".mat",
        ".md", ".mov", ".mp4", ".mpeg", ".mpg", ".npz", ".parquet", ".pdf", ".pickle", ".pkl",
        ".pt", ".pth", ".py", ".rar", ".rst", ".sh", ".svg", ".tar", ".tgz", ".toml", ".tsv",
        ".txt", ".wmf", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip",
    }
)  # fmt: skip
"""Suffixes of files that are not opened to see whether they are images."""
TABLES = frozenset({".csv", ".tsv", ".jsonl", ".parquet"})
ARRAY = ".npy"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The files below a path, by what their names say.

    Args:
        root: the folder that names are relative to.
        images: files that are images, or claim to be.
        tables: files that may hold images or labels.
        skipped: reason -> how many files.
    """

    root: Path
    images: tuple[PurePosixPath, ...]
    tables: tuple[PurePosixPath, ...]
    skipped: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """N images at a path.

    Args:
        what: `files` or `tables`.
        places: files of images, or shards of a table.
        place_of: the place of each image, int64 [N].
        read: takes ascending row numbers, returns (name, image) of each, in that order.
        columns: by name.
        skipped: reason -> how many files.
        notes: sentences about what was found.
        root: the folder that places are relative to.
    """

    what: str
    root: Path
    places: tuple[PurePosixPath, ...]
    place_of: Indices
    read: Callable[[Indices], Iterable[Named]]
    columns: Mapping[str, Column]
    skipped: Mapping[str, int]
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.place_of)

    def size_of(self, row: int) -> int:
        """Return the bytes of an image file, -1 for one that cannot be read."""
        try:
            return (self.root / self.places[row]).stat().st_size
        except OSError:
            return -1

    def by_image(self, values: Sequence[T]) -> list[T]:
        """Return a value for each image, from one for each place."""
        return list(values) if self.what == "files" else [values[n] for n in self.place_of]


def listing(path: Path, skip: Collection[str] = ()) -> Listing:
    """List the files at a path; only those with an unknown suffix are opened.

    Args:
        path: a file or a folder.
        skip: patterns of relative names to leave out: `*` is any text, also with slashes.

    Raises:
        DataError: a folder cannot be read.
    """
    root = path if path.is_dir() else path.parent
    images, tables, skipped = list[PurePosixPath](), list[PurePosixPath](), Counter[str]()
    for file in _walk(path):
        name = PurePosixPath(file.relative_to(root).as_posix())
        suffix = file.suffix.lower()
        if any(fnmatch.fnmatch(str(name), pattern) for pattern in skip):
            skipped["data.skip"] += 1
        elif suffix in TABLES:
            tables.append(name)
        elif _is_image(file, suffix):
            images.append(name)
        else:
            skipped[suffix or "no suffix"] += 1
    return Listing(
        root=root, images=tuple(sorted(images)), tables=tuple(sorted(tables)), skipped=skipped
    )


def first_image(path: Path, holds_images: Callable[[Path], bool]) -> Path | None:
    """Return the first file at a path that is an image or a table of images, or None."""
    tables: Path | None = None
    for file in _walk(path):
        suffix = file.suffix.lower()
        if _is_image(file, suffix) or (suffix == ".parquet" and holds_images(file)):
            return file
        tables = file if suffix == ".parquet" else tables
    return tables


def stamps(path: Path) -> list[list[str | int]]:
    """Return name, size and times of every file at a path: they change if its content does."""
    root = path if path.is_dir() else path.parent
    found = list[list[str | int]]()
    for file in _walk(path):
        try:
            facts = file.stat()
            changes = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
        except OSError:
            changes = [-1]
        found.append([file.relative_to(root).as_posix(), *changes])
    return found


def files(listed: Listing, columns: Mapping[str, Column], notes: tuple[str, ...]) -> Found:
    """Return the image files of a listing."""
    places, root = listed.images, listed.root

    def read(rows: Indices) -> Iterator[Named]:
        return ((str(places[row]), root / places[row]) for row in rows)

    return Found(
        what="files",
        root=root,
        places=places,
        place_of=np.arange(len(places)),
        read=read,
        columns=columns,
        skipped=listed.skipped,
        notes=notes,
    )


def _walk(path: Path) -> Iterator[Path]:
    """Yield the files at a path in the order of their names, without hidden and special ones."""
    if not path.is_dir():
        yield path
        return
    yield from _below(path, frozenset())


def _below(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        own = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read: {error.strerror}. Allow it, or leave it out by "
            f'data.skip="{folder.name}/*" and a path without it.'
        ) from error
    identity = (own.st_dev, own.st_ino)
    if identity in above:  # a link to a folder above itself
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        place = Path(entry.path)
        try:
            mode = place.stat().st_mode
        except OSError:
            mode = stat.S_IFREG  # a link to nothing: read as a file, it fails
        if stat.S_ISDIR(mode):
            yield from _below(place, above | {identity})
        elif stat.S_ISREG(mode):
            yield place


def _is_image(file: Path, suffix: str) -> bool:
    """Return whether a file is an image by its suffix, or else by its first bytes."""
    if suffix in NO_IMAGES:
        return False
    if suffix == ARRAY or _FORMAT_OF.get(suffix) in FORMATS:
        return True
    try:
        with Image.open(file, formats=FORMATS):
            return True
    except ERRORS:
        return False


Image.init()
_FORMAT_OF = Image.registered_extensions()
