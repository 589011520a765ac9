"""DIET (Balestriero, 2023, arXiv 2302.10260): each image is a class of its own.

A linear classifier on the features of one view names the image. There is no projector.
Shapes: B images, D features, N images of the pretraining split.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import cross_entropy

from sweep.methods.base import Batch, Builder, Facts, Loss, Method
from sweep.methods.two_views import full_precision


def diet(*, label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.8) -> Builder:
    """Return the builder of DIET.

    Args:
        label_smoothing: of the cross-entropy; 0.8 in the paper (algorithm 1).
    """

    def build(encoder: nn.Module, facts: Facts) -> Method:
        classifier = nn.Linear(facts.dim, facts.images, bias=False)
        return Diet(encoder, classifier, label_smoothing=label_smoothing)

    return build


class Diet(Method):
    """An encoder and a classifier with one class for each image.

    Args:
        encoder: [B, C, H, W] -> [B, D].
        classifier: [B, D] -> [B, N].
        label_smoothing: see `diet`.
    """

    parallel = True

    def __init__(
        self, encoder: nn.Module, classifier: nn.Linear, *, label_smoothing: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier
        self._label_smoothing = label_smoothing

    def forward(self, batch: Batch) -> Loss:
        """Return the cross-entropy of one view of each image with the image's own number.

        Parts: `instance_loss`, the cross-entropy divided by log N (the loss when all logits are
        equal), and `instance_accuracy`, the share of images for which their own logit is largest.
        """
        h_BD = self.encoder(batch.view())
        logits_BN = full_precision(self.classifier(h_BD))
        with torch.autocast(logits_BN.device.type, enabled=False):
            value = cross_entropy(logits_BN, batch.rows, label_smoothing=self._label_smoothing)
        correct_B = logits_BN.detach().argmax(1) == batch.rows
        parts = {
            "instance_loss": value.detach() / math.log(max(2, logits_BN.shape[1])),
            "instance_accuracy": correct_B.float().mean(),
        }
        return Loss(value=value, outputs=h_BD, parts=parts)
