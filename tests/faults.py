"""A storage whose acts go through a function, which may count, change, refuse or stop them."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO, TypeVar

from sweep.storage.base import ConditionalStorage, Data, NativePath, ObjectVersion, Storage
from sweep.storage.location import Location

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One act that is about to happen.

    Args:
        name: of the method of `Storage`.
        path: of the file or folder.
        run: does it.
        data: what is to be written, if anything.
    """

    name: str
    path: PurePath
    run: Callable[[], Any]
    data: bytes = b""


Hook = Callable[[Act], Any]


def faulty(location: Location, hook: Hook) -> Location:
    """Return the same location on a storage whose acts go through `hook`."""
    return Location(Faulty(location.storage, hook), location.path)


class Faulty:
    """Wraps a storage: `hook` gets each act on a path, and returns what the act returns."""

    def __init__(self, inner: Storage, hook: Hook) -> None:
        self._inner, self._hook = inner, hook

    @property
    def poll_seconds(self) -> float:
        return self._inner.poll_seconds

    @property
    def conditional(self) -> ConditionalStorage | None:
        return None if self._inner.conditional is None else self

    def address(self, path: PurePath) -> str:
        return self._inner.address(path)

    def native(self, path: PurePath) -> NativePath:
        return self._inner.native(path)

    def absolute(self, path: PurePath) -> PurePath:
        return self._inner.absolute(path)

    def read(self, path: PurePath) -> bytes:
        return self._do("read", path, lambda: self._inner.read(path))

    def open_read(self, path: PurePath) -> BinaryIO:
        return self._do("open_read", path, lambda: self._inner.open_read(path))

    def view(self, path: PurePath) -> memoryview:
        return self._do("view", path, lambda: self._inner.view(path))

    def look(self, path: PurePath) -> ObjectVersion | None:
        return self._do("look", path, lambda: self._inner.look(path))

    def exists(self, path: PurePath) -> bool:
        return self._do("exists", path, lambda: self._inner.exists(path))

    def is_folder(self, path: PurePath) -> bool:
        return self._do("is_folder", path, lambda: self._inner.is_folder(path))

    def names(self, folder: PurePath, *, after: str = "", most: int | None = None) -> list[str]:
        return self._do("names", folder, lambda: self._inner.names(folder, after=after, most=most))

    def append(self, path: PurePath, data: Data, *, at: int | None = None) -> None:
        self._do("append", path, lambda: self._inner.append(path, data, at=at), data)

    def write(self, path: PurePath, data: Data) -> None:
        self._do("write", path, lambda: self._inner.write(path, data), data)

    def create(self, path: PurePath, data: Data) -> bool:
        return self._do("create", path, lambda: self._inner.create(path, data), data)

    def replace(self, path: PurePath, data: Data, etag: str) -> str | None:
        store = self._inner.conditional
        assert store is not None
        return self._do("replace", path, lambda: store.replace(path, data, etag), data)

    def cut(self, path: PurePath, size: int) -> None:
        self._do("cut", path, lambda: self._inner.cut(path, size))

    def remove(self, path: PurePath) -> None:
        self._do("remove", path, lambda: self._inner.remove(path))

    def make_folder(self, folder: PurePath, *, under: PurePath | None = None) -> None:
        self._do("make_folder", folder, lambda: self._inner.make_folder(folder, under=under))

    def tidy(self, folder: PurePath) -> None:
        self._do("tidy", folder, lambda: self._inner.tidy(folder))

    def lock(self, path: PurePath, *, seconds: float) -> AbstractContextManager[None]:
        return self._do("lock", path, lambda: self._inner.lock(path, seconds=seconds))

    def keeps_drivers_apart(self, folder: PurePath) -> bool:
        return self._do(
            "keeps_drivers_apart", folder, lambda: self._inner.keeps_drivers_apart(folder)
        )

    def link_target(self, path: PurePath) -> str | None:
        return self._do("link_target", path, lambda: self._inner.link_target(path))

    def links(self, folder: PurePath, *, itself: bool = False) -> list[tuple[str, str]]:
        return self._do("links", folder, lambda: self._inner.links(folder, itself=itself))

    def open_append(self, path: PurePath) -> io.FileIO | None:
        return self._do("open_append", path, lambda: self._inner.open_append(path))

    def leftovers(self, folder: PurePath) -> list[tuple[str, int]]:
        return self._do("leftovers", folder, lambda: self._inner.leftovers(folder))

    def free_bytes(self, folder: PurePath) -> int | None:
        return self._do("free_bytes", folder, lambda: self._inner.free_bytes(folder))

    def _do(self, name: str, path: PurePath, run: Callable[[], T], data: Data = b"") -> T:
        result: T = self._hook(Act(name=name, path=path, run=run, data=bytes(data)))
        return result
