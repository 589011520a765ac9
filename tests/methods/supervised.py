"""A supervised baseline and its data, as a user would bring them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sweep.config.models import DataConfig
from sweep.datasets.images import Split, Splits
from sweep.methods import Batch, Builder, Facts, Loss, Method

CLASSES = 4


class Supervised(Method):
    """Encoder and a linear classifier; it refuses labels that do not belong to the images."""

    uses_labels = True

    def __init__(self, encoder: nn.Module, dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(dim, CLASSES)

    def forward(self, batch: Batch) -> Loss:
        """Return the cross-entropy of one view of each image."""
        assert batch.labels is not None
        if not torch.equal(batch.images[:, 0, 0, 0].long() // 60, batch.labels):
            raise ValueError("these are the labels of other images")
        logits = self.classifier(self.encoder(batch.view())).float()
        right = logits.detach().argmax(1) == batch.labels
        value = cross_entropy(logits, batch.labels)
        return Loss(value=value, outputs=logits, parts={"train_accuracy": right.float().mean()})


def supervised() -> Builder:
    """Return what builds the baseline, which has no keys."""
    return _build


def _build(encoder: nn.Module, facts: Facts) -> Method:
    return Supervised(encoder, facts.dim)


def shades(
    *, pretrain: int = 96, train: int = 40, labelled: bool = True
) -> Callable[[DataConfig], Splits]:
    """Return a data set of noisy images whose class is the shade of their first pixel.

    Args:
        pretrain, train: images of these splits.
        labelled: whether the splits have labels.
    """

    def read(config: DataConfig) -> Splits:
        rng = np.random.default_rng(config.seed)

        def split(count: int) -> Split:
            labels = rng.integers(CLASSES, size=count)
            images = rng.integers(0, 256, size=(count, 1, 8, 8))
            images[:, :, :4] = 60 * labels[:, None, None, None] + 30
            return Split(images=images.astype(np.uint8), labels=labels if labelled else None)

        return Splits(
            pretrain=Split(images=split(pretrain).images),
            train=split(train),
            validation=split(32),
            test=split(32),
            classes=tuple(map(str, range(CLASSES))) if labelled else (),
        )

    return read
