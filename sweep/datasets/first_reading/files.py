"""List the files under a path, without opening them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

PARQUET_SUFFIXES = (".parquet",)
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""The same endings as `torchvision.datasets.folder.IMG_EXTENSIONS`."""


def walk(path: Path, suffixes: Collection[str] = ()) -> Iterator[Path]:
    """Yield `path` itself if it is a file, otherwise the files below it, except hidden ones.

    Args:
        path: a file or a folder.
        suffixes: lower-case endings of the files to yield; by default all files.
    """
    if path.is_file():
        if not suffixes or path.suffix.lower() in suffixes:
            yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            hidden = name.startswith(".")
            if not hidden and (not suffixes or Path(name).suffix.lower() in suffixes):
                yield Path(folder, name)
