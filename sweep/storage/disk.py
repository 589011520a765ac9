"""Every act on a study's storage: append, write whole, create, cut, remove, read, list.

What an act promises holds when it returns: the data are on the disk, and so is the name of a
new file. A file is written beside its place and then renamed, so that a reader sees all of the
old one or all of the new; the name beside is unique, and what a killed writer leaves there is
listed by nobody and removed by `tidy`. On an object store (`sweep.storage.s3`) an act has
returned when the store's answer came. Failures are `OSError`s; what a person is told of them is
left to the callers, who call these by module attribute (`files.append(...)`), so that all acts
can be watched in one place.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from sweep.core.errors import UserError

if TYPE_CHECKING:
    from upath import UPath

    Place: TypeAlias = Path | UPath
else:
    Place = Path

Data = bytes | memoryview


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """An object as it was at one moment.

    Args:
        data: all of it.
        tag: no other version of it has this.
        age_seconds: since it was written, by the server's clock.
    """

    data: bytes
    tag: str
    age_seconds: float


def place(address: str | os.PathLike[str] | Place) -> Place:
    """Return where something lies: a path, or an `s3://bucket/...` address, as a place.

    Raises:
        UserError: no path can be like this, the address is of another kind of store or names no
            bucket, or s3fs is not installed.
    """
    text = str(address)
    if "\0" in text:
        raise UserError(f"{text!r} is no path: it holds a zero byte.")
    if (scheme := re.match(r"([a-z][a-z0-9+.-]+):/+", text)) is None:
        return Path(text)
    if scheme[1] != "s3" or scheme.end() == len(text):
        raise UserError(f"{text} is no place for results: it is a path, or s3://BUCKET/PREFIX.")
    if isinstance(address, str | Path):  # the latter made one slash of two
        address = f"s3://{text[scheme.end() :]}"
    found: Place = _objects().place(address)
    return found


def absolute(place: Place) -> Place:
    """Return a place that means the same to a process in another folder."""
    return place.resolve() if isinstance(place, Path) else place


def append(place: Place, data: Data, *, at: int | None = None) -> None:
    """Put data behind what a file holds; it is made if need be.

    Args:
        place: the file.
        data: what to put there.
        at: how long the file must be, and so must exist; nobody else wrote to it, then.
    """
    if not isinstance(place, Path):
        _objects().append(place, bytes(data), at=at)
        return
    with place.open("ab" if at is None else "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if at is not None and size != at:
            raise OSError(f"it has {size} bytes where {at} were left, so somebody else writes it")
        _write_all(file.fileno(), data)
        os.fsync(file.fileno())
    if size == 0:
        _sync(place.parent)


def write(place: Place, data: Data) -> None:
    """Make data all that a file holds: written beside, then renamed."""
    if not isinstance(place, Path):
        _objects().write(place, bytes(data))
        return
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


def create(place: Place, data: Data) -> bool:
    """Write a file unless one is there; return whether it was written.

    On an object store, one that holds the same bytes counts as written.
    """
    if not isinstance(place, Path):
        return bool(_objects().create(place, bytes(data)))
    try:
        with place.open("xb", buffering=0) as file:
            _write_all(file.fileno(), data)
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    _sync(place.parent)
    return True


def cut(place: Place, size: int) -> None:
    """Leave only the first bytes of a file."""
    if not isinstance(place, Path):
        _objects().cut(place, size)
        return
    with place.open("r+b", buffering=0) as file:
        file.truncate(size)
        os.fsync(file.fileno())


def remove(place: Place) -> None:
    """Remove a file if it is there."""
    if not isinstance(place, Path):
        _objects().remove(place)
        return
    place.unlink(missing_ok=True)


def read(place: Place) -> bytes:
    """Return what a file holds; raise `FileNotFoundError` where there is none."""
    if not isinstance(place, Path):
        return bytes(_objects().read(place))
    return place.read_bytes()


def age(place: Path) -> float:
    """Return the seconds since a file was last written, by this machine's clock."""
    return max(0.0, time.time() - place.stat().st_mtime)


def exists(place: Place) -> bool:
    """Return whether there is a file."""
    if not isinstance(place, Path):
        return bool(_objects().exists(place))
    return place.is_file()


def names(folder: Place, *, after: str = "", most: int | None = None) -> list[str]:
    """Return the names in a folder in order, none where there is no folder.

    Args:
        folder: where to look.
        after: leave out what does not come behind this name.
        most: return no more than so many.
    """
    if not isinstance(folder, Path):
        found: list[str] = _objects().names(folder, after=after, most=most)
    else:
        try:
            found = [path.name for path in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted(name for name in found if name > after and not _is_beside(name))[:most]


def make(folder: Place, *, under: Place | None = None) -> None:
    """Make a folder, and those above it, where there is none; an object store has none.

    Args:
        folder: to make.
        under: a folder above it that must be there: where a disk is gone, nothing is to be made
            in the place where it was mounted.
    """
    if not isinstance(folder, Path):
        return
    if isinstance(under, Path):
        under.stat()
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        _sync(one.parent)


def tidy(folder: Place) -> None:
    """Remove what killed writers left beside the files of a folder that is ours alone."""
    if not isinstance(folder, Path):
        return
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def check(folder: Place) -> None:
    """Make a folder if need be, and try to write into it."""
    if not isinstance(folder, Path):
        _objects().check(folder)
        return
    make(folder)
    scratch = _beside(folder / "check")
    create(scratch, b"")
    remove(scratch)


def look(place: Place) -> Seen | None:
    """Return an object with its tag and its age, None where there is none."""
    found: Seen | None = _objects().look(place)
    return found


def swap(place: Place, data: Data, tag: str) -> str | None:
    """Put an object in the place of the version with that tag; return its own tag.

    None says that another version is there now.
    """
    new: str | None = _objects().swap(place, bytes(data), tag)
    return new


def conditional(folder: Place) -> bool:
    """Return whether two drivers of a study in this folder are kept apart.

    A disk has locks. An object store must keep the conditions of a PUT, which is tried.
    """
    return isinstance(folder, Path) or bool(_objects().conditional(folder))


def _objects() -> ModuleType:
    """Return the acts on an object store; imported here, for most studies have no use for them."""
    try:
        from sweep.storage import s3
    except ModuleNotFoundError as error:
        raise UserError(
            f"Results on an object store need a package that is not installed ({error.name}): "
            "pip install s3fs universal-pathlib."
        ) from error
    return s3


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
