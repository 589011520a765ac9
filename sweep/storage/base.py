"""What a storage can do with a study's files: the protocol that `Disk` and `S3` implement.

When an act returns, what it wrote survives a crash of this machine: the data and the name of a new
file are on the disk, or the object store has answered. A reader sees all of the old file or all of
the new file. A writer that is killed may leave a scratch file (`scratch_name`): `names` does
not list it, and `tidy` removes it. Failures are `OSError`s; the caller tells the user.
"""

from __future__ import annotations

import io
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

if TYPE_CHECKING:
    from upath import UPath

Data = bytes | memoryview

NativePath: TypeAlias = "Path | UPath"
"""What a user's own code reads and writes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectVersion:
    """A file or object as it was when it was read.

    Args:
        data: its bytes.
        etag: ETag; changes with every version.
        age_seconds: seconds since it was written: by the clock of the store, or of this machine
            for a file on disk.
    """

    data: bytes
    etag: str
    age_seconds: float


class Storage(Protocol):
    """A disk or an object store; stateless, so that two instances of one class are equal.

    Paths are `pathlib` paths on a disk, and BUCKET/KEY on an object store.
    """

    @property
    def poll_seconds(self) -> float:
        """Seconds to wait between two looks at a file that another process may write."""

    @property
    def conditional(self) -> ConditionalStorage | None:
        """This storage where it has conditional writes in place of locks, None on a disk."""

    # Paths

    def address(self, path: PurePath) -> str:
        """Return what a user types to name this path."""

    def native(self, path: PurePath) -> NativePath:
        """Return the path as the `Path` or `UPath` that a user's own code reads and writes."""

    def absolute(self, path: PurePath) -> PurePath:
        """Return a path that means the same to a process in another folder."""

    # Reading

    def read(self, path: PurePath) -> bytes:
        """Return the bytes of a file; raise `FileNotFoundError` if there is none."""

    def open_read(self, path: PurePath) -> BinaryIO:
        """Return a file open for reading; raise `FileNotFoundError` if there is none."""

    def view(self, path: PurePath) -> memoryview:
        """Return the bytes of a file without a copy where that is possible (a memory map).

        Only for files that are replaced and never cut: a map of a file that is cut crashes.
        """

    def look(self, path: PurePath) -> ObjectVersion | None:
        """Return a file with its ETag and its age, None if there is none."""

    def exists(self, path: PurePath) -> bool:
        """Return whether there is a file."""

    def is_folder(self, path: PurePath) -> bool:
        """Return whether there is a folder; on an object store: whether objects lie under it."""

    def names(self, folder: PurePath, *, after: str = "", most: int | None = None) -> list[str]:
        """Return the names in a folder in order, none if there is no folder.

        Args:
            folder: where to look.
            after: leave out this name and those before it.
            most: return at most so many names.
        """

    # Writing

    def append(self, path: PurePath, data: Data, *, at: int | None = None) -> None:
        """Append data to a file, which is made if there is none.

        Args:
            path: of the file.
            data: to append.
            at: the size that the file must have, in bytes; the file must then exist.

        Raises:
            OSError: the file has another size, so another process writes it.
        """

    def write(self, path: PurePath, data: Data) -> None:
        """Replace the whole content of a file, or make the file; never leave a part of it."""

    def create(self, path: PurePath, data: Data) -> bool:
        """Write a file unless there is one; return whether it was written.

        On an object store an object with the same bytes counts as written: the answer to
        an earlier try may have been lost.
        """

    def cut(self, path: PurePath, size: int) -> None:
        """Keep only the first `size` bytes of a file."""

    def remove(self, path: PurePath) -> None:
        """Remove a file if there is one."""

    def make_folder(self, folder: PurePath, *, under: PurePath | None = None) -> None:
        """Make a folder and its parents if they do not exist; an object store needs none.

        Args:
            folder: to make.
            under: a parent that must exist. Where a disk is gone, no folder may be made at
                the point where it was mounted.
        """

    def tidy(self, folder: PurePath) -> None:
        """Remove killed writers' scratch files from a folder that only this process writes."""

    # Several processes

    def lock(self, path: PurePath, *, seconds: float) -> AbstractContextManager[None]:
        """Return a context that holds a lock file; the system unlocks it if the process dies.

        An object store has no locks, so the context does nothing there.

        Args:
            path: of the lock file.
            seconds: how long to wait for another holder.

        Raises:
            TimeoutError: on entry, if another holder kept it.
            OSError: on entry, if files cannot be locked there.
        """

    def keeps_drivers_apart(self, folder: PurePath) -> bool:
        """Return whether two drivers of one study in this folder are kept apart.

        A disk has locks. Whether an object store honours conditional PUTs is tried.
        """

    # What only a disk has

    def link_target(self, path: PurePath) -> str | None:
        """Return the target of a symbolic link, None if the path is not a link."""

    def links(self, folder: PurePath, *, itself: bool = False) -> list[tuple[str, str]]:
        """Return the symbolic links in a folder, each with its target; none on an object store.

        Args:
            folder: to look through; it may be missing.
            itself: also look whether the folder is a link.
        """

    def open_append(self, path: PurePath) -> io.FileIO | None:
        """Return a file open for appending without a sync, None on an object store."""

    def leftovers(self, folder: PurePath) -> list[tuple[str, int]]:
        """Return the scratch files at any depth under a folder, each with its size in bytes."""

    def free_bytes(self, folder: PurePath) -> int | None:
        """Return the free space in bytes, None where there is no limit to know."""


class ConditionalStorage(Storage, Protocol):
    """A storage whose writes can depend on the version that is there now."""

    def replace(self, path: PurePath, data: Data, etag: str) -> str | None:
        """Replace the version that has this ETag.

        Returns:
            The ETag of the new version, or None if another version is there now.
        """


def scratch_name(name: str) -> str:
    """Return a unique name for a file that is written beside `name` and then renamed."""
    return f".{name}.{secrets.token_hex(6)}.tmp"


def is_scratch(name: str) -> bool:
    """Return whether a name is one of `scratch_name`."""
    return name.startswith(".") and name.endswith(".tmp")
