"""Every act on a study's storage: append, write whole, create, cut, remove, read, list.

What an act promises holds when it returns: the data are on the disk, and so is the name of a
new file. A file is written beside its place and then renamed, so that a reader sees all of the
old one or all of the new; the name beside is unique, and what a killed writer leaves there is
listed by nobody and removed by `tidy`. Failures are `OSError`s; what a person is told of them is
left to the callers, who call these by module attribute (`files.append(...)`), so that all acts
can be watched in one place.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

Data = bytes | memoryview


def append(place: Path, data: Data, *, at: int | None = None) -> None:
    """Put data behind what a file holds; it is made if need be.

    Args:
        place: the file.
        data: what to put there.
        at: how long the file must be, and so must exist; nobody else wrote to it, then.
    """
    with place.open("ab" if at is None else "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if at is not None and size != at:
            raise OSError(f"it has {size} bytes where {at} were left, so somebody else writes it")
        _write_all(file.fileno(), data)
        os.fsync(file.fileno())
    if size == 0:
        _sync(place.parent)


def write(place: Path, data: Data) -> None:
    """Make data all that a file holds: written beside, then renamed."""
    beside = _beside(place)
    try:
        with beside.open("xb", buffering=0) as file:
            _write_all(file.fileno(), data)
            os.fsync(file.fileno())
        beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    _sync(place.parent)


def create(place: Path, data: Data) -> bool:
    """Write a file unless one is there; return whether it was written."""
    try:
        with place.open("xb", buffering=0) as file:
            _write_all(file.fileno(), data)
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    _sync(place.parent)
    return True


def cut(place: Path, size: int) -> None:
    """Leave only the first bytes of a file."""
    with place.open("r+b", buffering=0) as file:
        file.truncate(size)
        os.fsync(file.fileno())


def remove(place: Path) -> None:
    """Remove a file if it is there."""
    place.unlink(missing_ok=True)


def read(place: Path) -> bytes:
    """Return what a file holds; raise `FileNotFoundError` where there is none."""
    return place.read_bytes()


def age(place: Path) -> float:
    """Return the seconds since a file was last written, by this machine's clock."""
    return max(0.0, time.time() - place.stat().st_mtime)


def exists(place: Path) -> bool:
    """Return whether there is a file."""
    return place.is_file()


def names(folder: Path) -> list[str]:
    """Return the names in a folder in order, none where there is no folder."""
    try:
        found = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in found if not _is_beside(name))


def make(folder: Path) -> None:
    """Make a folder, and those above it, where there is none."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        _sync(one.parent)


def tidy(folder: Path) -> None:
    """Remove what killed writers left beside the files of a folder that is ours alone."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def check(folder: Path) -> None:
    """Make a folder if need be, and try to write into it."""
    make(folder)
    scratch = _beside(folder / "check")
    create(scratch, b"")
    remove(scratch)


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")


def _is_beside(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _write_all(handle: int, data: Data) -> None:
    """A full disk first takes a part, and says why only when asked to take the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync(folder: Path) -> None:
    """A new name is on the disk only once its folder is."""
    if os.name == "nt":  # has no such call, and needs none
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
