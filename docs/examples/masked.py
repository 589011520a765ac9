"""Masked prediction: hide patches of a view, and predict their pixels from what is left.

As in MAE (He et al., CVPR 2022) only hidden pixels count; any encoder will do.
Shapes: B images, C channels, H x W pixels, D features.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from sweep.methods import Batch, Builder, Facts, Loss, Method


def masked_prediction(
    *,
    mask: Annotated[float, Field(gt=0, lt=1)] = 0.75,
    patch: Annotated[int, Field(ge=1)] = 2,
) -> Builder:
    """Return what builds masked prediction around an encoder.

    Args:
        mask: probability with which a patch is hidden; 0.75 in MAE.
        patch: side of a patch in pixels; an eighth of the image or so is a good start.
    """

    def build(encoder: nn.Module, facts: Facts) -> Method:
        return MaskedPrediction(encoder, facts, mask=mask, patch=patch)

    return build


class MaskedPrediction(Method):
    """The encoder, and a linear decoder from its features to all pixels."""

    parallel = True

    def __init__(self, encoder: nn.Module, facts: Facts, *, mask: float, patch: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Linear(facts.dim, math.prod(facts.shape))
        self._mask, self._patch, self._sides = mask, patch, facts.shape[1:]

    def forward(self, batch: Batch) -> Loss:
        """Return the mean squared error of the hidden pixels of one view of each image."""
        x_BCHW = batch.view()
        hidden_B1HW = batch.part(self._hidden(batch.size, batch.draws))
        h_BD = self.encoder(x_BCHW.masked_fill(hidden_B1HW, 0.0))  # 0 is the mean of all images
        predicted_BCHW = self.decoder(h_BD).float().view_as(x_BCHW)
        weights_BCHW = hidden_B1HW.expand_as(x_BCHW).float()
        squares_BCHW = (predicted_BCHW - x_BCHW).square()
        sums_12 = torch.stack([(weights_BCHW * squares_BCHW).sum(), weights_BCHW.sum()])[None]
        error, pixels = batch.gather(sums_12).sum(0)
        value = error / pixels.clamp(min=1)
        unexplained = value.detach() / batch.gather(x_BCHW).var()
        return Loss(value=value, outputs=h_BD, parts={"unexplained": unexplained})

    def _hidden(self, images: int, draws: Generator) -> Tensor:
        """Return True for each hidden pixel, bool [images, 1, H, W]."""
        height, width = self._sides
        grid = (images, 1, -(-height // self._patch), -(-width // self._patch))
        patches = torch.rand(grid, generator=draws, device=draws.device) < self._mask
        pixels = patches.repeat_interleave(self._patch, 2).repeat_interleave(self._patch, 3)
        return pixels[:, :, :height, :width]
