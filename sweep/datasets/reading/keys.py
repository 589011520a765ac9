"""The keys of `[data]` that say how files are read, beside those common to all data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sweep.datasets.pixels.fit import How

NAMES, NONE = "names", "none"
"""Values of `data.split` and `data.label` that are no column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """The keys of an image folder or an image table; see `sweep.datasets.image_files`."""

    image: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    skip: tuple[str, ...] = ()
    background: str = "white"
    channels: Literal[3] | None = None
    range: tuple[float, float] | None = None
    resize: How = "crop"
    pretrain_on_test: bool = False
