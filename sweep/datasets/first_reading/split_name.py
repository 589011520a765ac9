"""Which split a path names, in the first reading."""

from __future__ import annotations

import re
from pathlib import PurePath

from sweep.datasets._rows import Name

_SPLITS: dict[str, Name] = {"train": "train", "val": "validation", "test": "test"}


def split_name(path: PurePath) -> Name | None:
    """Return the split that a relative path names, or None: `data/val-0.parquet` is validation.

    The last part of the path that names a split decides. A part names a split if it starts with
    `train`, `val` (`valid`, `validation`) or `test`, and no other letter follows.
    """
    for part in reversed(path.parts):
        match = re.match(r"(train|val|test)(ing|id|idation)?(?![a-z])", part.lower())
        if match:
            return _SPLITS[match.group(1)]
    return None
