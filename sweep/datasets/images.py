"""Images and their labels in memory: the one form in which all data sets arrive.

A leaf: `sweep.datasets` makes these, `sweep.datasets.cache` keeps them on disk, trials read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Part of a data set.

    Args:
        images: uint8 [N, C, H, W]; may be a read-only memory map.
        labels: int64 [N] from 0, or None where nobody labelled them.
        factors: name -> [N], what is known of how each image was made (position, scale, ...).
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None = None
    factors: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """A data set, split once and for all.

    Args:
        pretrain: images seen by pretraining, which never reads labels.
        train: images and labels that a probe is fitted on.
        validation: chooses the probe's strength and the winner among models.
        test: read once, for the winner.
        classes: names of the labels, in order; empty where there are none.
        undecodable: names of images that could not be decoded and were left out.
    """

    pretrain: Split
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...] = ()
    undecodable: tuple[str, ...] = ()
