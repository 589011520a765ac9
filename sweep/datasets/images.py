"""Images and labels in memory, in the form that every data set returns.

`sweep.datasets` makes them, `sweep.datasets.cache` keeps them on disk, and trials read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Part of a data set.

    Args:
        images: uint8 [N, C, H, W]; may be a read-only memory map.
        labels: int64 [N], counted from 0, or None if the images have no labels.
        factors: name -> [N], known properties of each image (position, scale, ...).
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None = None
    factors: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """A data set with its splits.

    Args:
        pretrain: images for pretraining, which never reads labels.
        train: images and labels that a probe is fitted on.
        validation: chooses the probe's strength and the winner among models.
        test: read once, for the winner.
        classes: names of the labels, in order; empty if there are none.
        undecodable: names of images that could not be decoded and were left out.
        report: how the images were read (`sweep.datasets.reading.report`), or None.
        digest: names images, labels and splits, if the data set computes it; else None.
        file: the `.npy` file that all images are slices of, which the cache may take; or None.
    """

    pretrain: Split
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...] = ()
    undecodable: tuple[str, ...] = ()
    report: Mapping[str, Any] | None = None
    digest: str | None = None
    file: Path | None = None
