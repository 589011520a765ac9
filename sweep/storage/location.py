"""A path on a storage, made once from the address that a user names, and carried around."""

from __future__ import annotations

import io
import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from sweep.core.errors import UserError
from sweep.storage.base import (
    ConditionalStorage,
    Data,
    NativePath,
    ObjectVersion,
    Storage,
    scratch_name,
)
from sweep.storage.disk import Disk

if TYPE_CHECKING:
    from upath import UPath

Address: TypeAlias = "str | os.PathLike[str] | UPath | Location"
"""What a user may name a location by."""

S3_PACKAGES = {"boto3": "boto3", "s3fs": "s3fs", "upath": "universal-pathlib"}
"""Module -> the package that a user installs."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+")


@dataclass(frozen=True, slots=True)
class Location:
    """A file or a folder on a storage; its acts are those of `sweep.storage.base.Storage`.

    Args:
        storage: the disk or the object store.
        path: on it.
    """

    storage: Storage
    path: PurePath

    def __str__(self) -> str:
        return self.storage.address(self.path)

    def __truediv__(self, name: str) -> Location:
        return replace(self, path=self.path / name)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def parent(self) -> Location:
        """The folder in which it lies."""
        return replace(self, path=self.path.parent)

    @property
    def native(self) -> NativePath:
        """The `Path` or `UPath` that a user's own code reads and writes."""
        return self.storage.native(self.path)

    @property
    def conditional(self) -> ConditionalStorage | None:
        """The storage if it has conditional writes in place of locks, None on a disk."""
        return self.storage.conditional

    def with_suffix(self, suffix: str) -> Location:
        """Return the path with another suffix."""
        return replace(self, path=self.path.with_suffix(suffix))

    def with_name(self, name: str) -> Location:
        """Return the path with another last part."""
        return replace(self, path=self.path.with_name(name))

    def scratch(self, name: str) -> Location:
        """Return a path in this folder that no listing shows and that nobody else uses."""
        return self / scratch_name(name)

    def absolute(self) -> Location:
        """Return a location that means the same to a process in another folder."""
        return replace(self, path=self.storage.absolute(self.path))

    def read(self) -> bytes:
        """Return the bytes; raise `FileNotFoundError` if there is no file."""
        return self.storage.read(self.path)

    def open_read(self) -> BinaryIO:
        """Return the file open for reading; raise `FileNotFoundError` if there is none."""
        return self.storage.open_read(self.path)

    def view(self) -> memoryview:
        """Return the bytes without a copy where that is possible."""
        return self.storage.view(self.path)

    def look(self) -> ObjectVersion | None:
        """Return the bytes with ETag and age, None if there is no file."""
        return self.storage.look(self.path)

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self.storage.exists(self.path)

    def is_folder(self) -> bool:
        """Return whether there is a folder."""
        return self.storage.is_folder(self.path)

    def names(self, *, after: str = "", most: int | None = None) -> list[str]:
        """Return the names in this folder in order."""
        return self.storage.names(self.path, after=after, most=most)

    def append(self, data: Data, *, at: int | None = None) -> None:
        """Append data; `at` is the size that the file must have, in bytes."""
        self.storage.append(self.path, data, at=at)

    def write(self, data: Data) -> None:
        """Replace the whole content, or make the file."""
        self.storage.write(self.path, data)

    def create(self, data: Data) -> bool:
        """Write the file unless there is one; return whether it was written."""
        return self.storage.create(self.path, data)

    def cut(self, size: int) -> None:
        """Keep only the first `size` bytes."""
        self.storage.cut(self.path, size)

    def remove(self) -> None:
        """Remove the file if there is one."""
        self.storage.remove(self.path)

    def make_folder(self, *, under: Location | None = None) -> None:
        """Make this folder and its parents; `under` is a parent that must exist."""
        self.storage.make_folder(self.path, under=None if under is None else under.path)

    def tidy(self) -> None:
        """Remove the scratch files of killed writers from this folder."""
        self.storage.tidy(self.path)

    def check_writable(self) -> None:
        """Make this folder, write a scratch file into it and remove it; raise `OSError` if not."""
        self.make_folder()
        scratch = self.scratch("check")
        scratch.write(b"")
        scratch.remove()

    def lock(self, *, seconds: float) -> AbstractContextManager[None]:
        """Return a context that holds this lock file; it does nothing on an object store."""
        return self.storage.lock(self.path, seconds=seconds)

    def keeps_drivers_apart(self) -> bool:
        """Return whether two drivers of a study in this folder are kept apart."""
        return self.storage.keeps_drivers_apart(self.path)

    def link_target(self) -> str | None:
        """Return the target of this symbolic link, None if it is not a link."""
        return self.storage.link_target(self.path)

    def links(self, *, itself: bool = False) -> list[tuple[str, str]]:
        """Return the symbolic links in this folder, each with its target."""
        return self.storage.links(self.path, itself=itself)

    def open_append(self) -> io.FileIO | None:
        """Return the file open for appending, None on an object store."""
        return self.storage.open_append(self.path)

    def leftovers(self) -> list[tuple[str, int]]:
        """Return the scratch files at any depth under this folder, each with its size in bytes."""
        return self.storage.leftovers(self.path)

    def free_bytes(self) -> int | None:
        """Return the free space in bytes, None where there is no limit to know."""
        return self.storage.free_bytes(self.path)


def is_object_store(address: str) -> bool:
    """Return whether an address is on an object store, and no path of a disk."""
    return _SCHEME.match(address) is not None


def locate(address: Address) -> Location:
    """Return the location that a user names: a path, or `s3://BUCKET/PREFIX`.

    A `Location` is returned as it is.

    Raises:
        UserError: it is no possible path, names another kind of store or no bucket, or a
            package for object stores is missing.
    """
    if isinstance(address, Location):
        return address
    text = str(address)
    if "\0" in text:
        raise UserError(f"{text!r} is not a path: it contains a zero byte. Type another path.")
    if (scheme := _SCHEME.match(text)) is None:
        return Location(Disk(), Path(text))
    if scheme[1] != "s3" or scheme.end() == len(text):
        raise UserError(
            f"{text} cannot hold results. Type the path of a folder, or s3://BUCKET/PREFIX."
        )
    missing = [package for name, package in S3_PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise UserError(
            f"Results on an object store need packages that are not installed "
            f"({', '.join(missing)}): pip install {' '.join(S3_PACKAGES.values())}."
        )
    from sweep.storage import s3  # only here: it takes 0.2 s to import

    return Location(s3.S3(), s3.path(text, getattr(address, "storage_options", {})))
