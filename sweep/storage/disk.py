"""A study's files on a disk: written beside their place, renamed, and synced with their folder."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

import filelock

from sweep.storage.base import Data, ObjectVersion, is_scratch, scratch_name


@dataclass(frozen=True)
class Disk:
    """The file systems of this machine; implements `sweep.storage.base.Storage`."""

    poll_seconds = 1.0
    conditional = None

    def address(self, path: PurePath) -> str:
        return str(path)

    def native(self, path: PurePath) -> Path:
        return Path(path)

    def absolute(self, path: PurePath) -> Path:
        return Path(path).resolve()

    def read(self, path: PurePath) -> bytes:
        return Path(path).read_bytes()

    def open_read(self, path: PurePath) -> BinaryIO:
        return Path(path).open("rb")

    def view(self, path: PurePath) -> memoryview:
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:  # cannot be mapped
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def look(self, path: PurePath) -> ObjectVersion | None:
        try:
            with Path(path).open("rb") as file:
                status, data = os.fstat(file.fileno()), file.read()
        except FileNotFoundError:
            return None
        return ObjectVersion(
            data=data,
            etag=f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}",
            age_seconds=max(0.0, time.time() - status.st_mtime),
        )

    def exists(self, path: PurePath) -> bool:
        return Path(path).is_file()

    def is_folder(self, path: PurePath) -> bool:
        return Path(path).is_dir()

    def names(self, folder: PurePath, *, after: str = "", most: int | None = None) -> list[str]:
        try:
            names = [path.name for path in Path(folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if name > after and not is_scratch(name))[:most]

    def append(self, path: PurePath, data: Data, *, at: int | None = None) -> None:
        with Path(path).open("ab" if at is None else "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if at is not None and size != at:
                raise OSError(
                    f"it has {size} bytes instead of {at}, so another process writes to it"
                )
            _write_all(file, data)
        if size == 0:
            _sync(Path(path).parent)

    def write(self, path: PurePath, data: Data) -> None:
        scratch = Path(path.with_name(scratch_name(path.name)))
        try:
            with scratch.open("xb", buffering=0) as file:
                _write_all(file, data)
            scratch.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise
        _sync(scratch.parent)

    def create(self, path: PurePath, data: Data) -> bool:
        try:
            with Path(path).open("xb", buffering=0) as file:
                _write_all(file, data)
        except FileExistsError:
            return False
        _sync(Path(path).parent)
        return True

    def cut(self, path: PurePath, size: int) -> None:
        with Path(path).open("r+b", buffering=0) as file:
            file.truncate(size)
            os.fsync(file.fileno())

    def remove(self, path: PurePath) -> None:
        Path(path).unlink(missing_ok=True)

    def make_folder(self, folder: PurePath, *, under: PurePath | None = None) -> None:
        if under is not None:
            Path(under).stat()
        folder = Path(folder)
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in reversed(missing):
            _sync(made.parent)

    def tidy(self, folder: PurePath) -> None:
        for scratch in Path(folder).glob(".*.tmp"):
            scratch.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, path: PurePath, *, seconds: float) -> Iterator[None]:
        # Not thread-local: a signal or an exit may release it in another thread.
        lock = filelock.FileLock(path, timeout=seconds, thread_local=False)
        try:
            lock.acquire()  # filelock.Timeout is a TimeoutError
        except NotImplementedError as error:
            raise OSError(str(error) or "this file system has no locks") from error
        try:
            yield
        finally:
            lock.release()

    def keeps_drivers_apart(self, folder: PurePath) -> bool:
        return True

    def link_target(self, path: PurePath) -> str | None:
        path = Path(path)
        return str(path.readlink()) if path.is_symlink() else None

    def links(self, folder: PurePath, *, itself: bool = False) -> list[tuple[str, str]]:
        folder, links = Path(folder), list[Path]()
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            links = [Path(entry.path) for entry in entries if entry.is_symlink()]
        if itself and folder.is_symlink():
            links.append(folder)
        return [(str(link), str(link.readlink())) for link in links]

    def open_append(self, path: PurePath) -> io.FileIO:
        return io.FileIO(path, "a")

    def leftovers(self, folder: PurePath) -> list[tuple[str, int]]:
        paths = (
            Path(parent) / name
            for parent, _, names in os.walk(folder)
            for name in names
            if is_scratch(name)
        )
        return [(str(path), path.stat().st_size) for path in paths if path.exists()]

    def free_bytes(self, folder: PurePath) -> int:
        return shutil.disk_usage(folder).free


def _write_all(file: io.FileIO, data: Data) -> None:
    """Write and sync. A full disk first takes a part; its error comes with the next write."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Sync a folder, so that the name of a new file in it survives a crash."""
    if os.name == "nt":  # has no such call and needs none
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
