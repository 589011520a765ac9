"""A data set and an encoder that cost almost no time, for tests that run a study 400 times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sweep.config.models import DataConfig
from sweep.datasets.images import Split, Splits
from sweep.encoders import Shape

CLASSES = 4
SHAPE = (1, 8, 8)
DIM = 12


def clusters() -> Callable[[DataConfig], Splits]:
    """Return a data set without keys: noisy copies of four random images.

    64 images to train on, 32 to validate and 32 to test, uint8 [N, 1, 8, 8].
    """
    return _clusters


def _clusters(config: DataConfig) -> Splits:
    rng = np.random.default_rng(config.seed)
    centres = rng.uniform(64, 192, size=(CLASSES, *SHAPE))

    def split(count: int) -> Split:
        labels = np.arange(count) % CLASSES
        noisy = centres[labels] + rng.normal(0, 50, size=(count, *SHAPE))
        return Split(images=np.clip(noisy, 0, 255).astype(np.uint8), labels=labels)

    train, validation, test = split(64), split(32), split(32)
    return Splits(
        pretrain=Split(images=train.images),
        train=train,
        validation=validation,
        test=test,
        classes=tuple(f"cluster {label}" for label in range(CLASSES)),
    )


class Layer(nn.Module):
    """One rectified layer: [B, 1, 8, 8] -> [B, DIM]."""

    dim = DIM

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, DIM)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        return torch.relu(self.linear(images.flatten(1)))


def layer() -> Callable[[Shape], nn.Module]:
    """Return what builds a `Layer`, which has no keys."""
    return lambda shape: Layer()
