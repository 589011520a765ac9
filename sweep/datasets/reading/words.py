"""The words that name a split, as Hugging Face's `datasets` documents them.

A word counts anywhere in a name between characters that are no letters: `seg_train`, `test-0001`.
Source: https://huggingface.co/docs/datasets/repository_structure, "Splits".
"""

from __future__ import annotations

import re
from typing import Literal

Split = Literal["train", "validation", "test"]
Part = Literal["train", "validation", "test", "unlabelled"]
"""What a name says of its images; `unlabelled` ones are for pretraining only."""

_PARTS: dict[str, Part] = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_WORD = re.compile(rf"(?<![^\W\d_])({'|'.join(sorted(_PARTS, reverse=True))})(?![^\W\d_])")
_UNLABELLED = re.compile(r"(?<![^\W\d_])(unlabell?ed|unsupervised|extra)(?![^\W\d_])")


def split_of(name: str) -> Split | None:
    """Return the split that a name's words say; None if there are none, or of two splits."""
    found = {_PARTS[word] for word in _WORD.findall(name.lower())}
    part = found.pop() if len(found) == 1 else None
    return None if part == "unlabelled" else part


def part_of(name: str) -> Part | None:
    """Return the split that a name says, `unlabelled`, or None."""
    if _UNLABELLED.search(name.lower()):
        return "unlabelled"
    return split_of(name)
