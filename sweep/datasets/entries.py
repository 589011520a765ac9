"""The entries of the cache of decoded images: `sweep cache ls` and `rm`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from sweep.core.errors import UserError
from sweep.datasets.cache import cache_folder
from sweep.datasets.known import paths

_DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Decoded images on this machine.

    Args:
        digest: of the images.
        bytes: on the disk.
        paths: where the images were found; empty if they are not of files.
    """

    digest: str
    bytes: int
    paths: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return asdict(self)


def entries(cache: Path | None = None) -> list[Entry]:
    """Return what the cache holds, the largest first."""
    root = cache_folder(cache)
    known = paths(root)
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if _DIGEST.fullmatch(folder.name) and folder.is_dir():
            size = sum(file.stat().st_size for file in folder.iterdir())
            where = tuple(known.get(folder.name, ()))
            found.append(Entry(digest=folder.name, bytes=size, paths=where))
    return sorted(found, key=lambda entry: -entry.bytes)


def remove(names: Sequence[str], cache: Path | None = None) -> list[Entry]:
    """Remove entries, and return them. A process that has mapped one keeps it until it ends.

    Args:
        names: digests, or their beginnings; or `all`.
        cache: the folder; see `cache_folder`.

    Raises:
        UserError: a name is that of no entry, or of several.
    """
    root, held = cache_folder(cache), entries(cache)
    chosen = list(held) if list(names) == ["all"] else [_one(name, held) for name in names]
    for entry in chosen:
        with FileLock(root / f"{entry.digest}.lock"):
            shutil.rmtree(root / entry.digest)
    return chosen


def _one(name: str, held: Sequence[Entry]) -> Entry:
    found = [entry for entry in held if name and entry.digest.startswith(name)]
    if len(found) != 1:
        what = "no entry" if not found else f"{len(found)} entries"
        raise UserError(f"{what} of the cache begins with {name!r}. `sweep cache ls` lists them.")
    return found[0]
