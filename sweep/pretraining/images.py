"""Which images a method is trained on: all images, or the labelled images if it uses labels.

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from sweep.core.errors import DataError
from sweep.datasets.images import Split, Splits
from sweep.methods import METHODS, Method


def training_images(
    method: Method, splits: Splits, *, name: str, device: str
) -> tuple[Tensor, Tensor | None]:
    """Return the images that a method is trained on, and their labels if the method uses labels.

    Args:
        method: as it was built.
        splits: of the study's data.
        name: of the method in the config, for the error.
        device: where the method is.

    Returns:
        uint8 [N, C, H, W], on the device or in the CPU's memory; and int64 [N] or None.

    Raises:
        DataError: the method uses labels, and the split `train` has none.
    """
    split = training_split(method, splits, name=name)
    return on_device(split, device), labels_of(split) if _uses_labels(method) else None


def training_split(method: Method, splits: Splits, *, name: str) -> Split:
    """Return the split that a method is trained on.

    Args:
        method: as it was built.
        splits: of the study's data.
        name: of the method in the config, for the error.

    Raises:
        DataError: the method uses labels, and the split `train` has none.
    """
    if not _uses_labels(method):
        return splits.pretrain
    if splits.train.labels is None:
        raise DataError(
            f"The method {name!r} is trained with labels, and the train split has none. Give "
            "labelled images with data.path, or choose a method that needs no labels: "
            f"{', '.join(METHODS)}."
        )
    return splits.train


def _uses_labels(method: Method) -> bool:
    """Return whether a method is trained with labels; False if a plug-in does not declare it."""
    return bool(getattr(method, "uses_labels", False))


def labels_of(split: Split) -> Tensor:
    """Return the labels of a labelled split, int64 [N]."""
    return torch.from_numpy(np.array(split.labels, dtype=np.int64))


def on_device(split: Split, device: str) -> Tensor:
    """Return a split's images, uint8 [N, C, H, W].

    They are on the device if they fit into half of its free memory, else in the CPU's memory.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        images = torch.from_numpy(split.images)  # never written: pages stay shared
    if device == "cpu":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if images.numel() < free // 2 else images
