"""What identifies the files of a data set, in the first reading and for plug-ins."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._checks import existing_path
from sweep.datasets.first_reading.files import IMAGE_SUFFIXES, PARQUET_SUFFIXES, walk

HASHED_BYTES = 64 * 1024
"""Bytes at the start and at the end of a file that are hashed."""
HASHED_FILES = 4096
"""Largest number of files whose bytes are hashed."""

_SUFFIXES = {"parquet": PARQUET_SUFFIXES, "imagefolder": IMAGE_SUFFIXES}


def content(config: DataConfig, name: str) -> list[Any]:
    """Return JSON that identifies the files at `config.path`: names, sizes, digests of their ends.

    Args:
        config: names the path.
        name: of the data set; it says which files count.

    Raises:
        DataError: the path or a file cannot be read.
    """
    root = existing_path(config)
    files = sorted(walk(root, _SUFFIXES.get(name, ())))
    base = root if root.is_dir() else root.parent
    listing = [(path.relative_to(base).as_posix(), path.stat().st_size) for path in files]
    every = -(-len(files) // HASHED_FILES) or 1
    return [listing, [_ends(path) for path in files[::every]]]


def _ends(path: Path) -> str:
    """Digest the first and the last 64 KiB of a file."""
    hashed = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            hashed.update(file.read(HASHED_BYTES))
            file.seek(max(file.tell(), path.stat().st_size - HASHED_BYTES))
            hashed.update(file.read(HASHED_BYTES))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Repair or remove it.") from error
    return hashed.hexdigest()
