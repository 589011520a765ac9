"""Shared by methods whose loss compares two views' projections: the module and the projector.

Shapes: B images, C channels, H x W pixels, D features, d outputs of the projector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sweep.methods.base import Batch, Loss, Method

Width = Annotated[int, Field(ge=2, le=65536)]
Layers = Annotated[int, Field(ge=1, le=8)]
Positive = Annotated[float, Field(gt=0)]

TwoViewLoss = Callable[[Tensor, Tensor], tuple[Tensor, Mapping[str, Tensor]]]
"""(z_a, z_b), float32 or float64 [B, d] from all ranks -> the loss, and its parts."""


class TwoViews(Method):
    """An encoder and a projector, trained by a loss of two views.

    Args:
        encoder: [B, C, H, W] -> [B, D].
        projector: [B, D] -> [B, d].
        loss: of the two projections; computed in float32 or float64, outside autocast.
        joint_batch_norm: both views form one batch with one set of batch-norm statistics.
    """

    parallel = True

    def __init__(
        self,
        encoder: nn.Module,
        projector: nn.Module,
        loss: TwoViewLoss,
        *,
        joint_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self._loss = loss
        self._joint = joint_batch_norm

    def forward(self, batch: Batch) -> Loss:
        """Return the loss of two views of each image."""
        x_a, x_b = batch.view(), batch.view(second=True)
        if self._joint:
            z_a, z_b = self.projector(self.encoder(torch.cat([x_a, x_b]))).chunk(2)
        else:
            z_a, z_b = self.projector(self.encoder(x_a)), self.projector(self.encoder(x_b))
        with torch.autocast(z_a.device.type, enabled=False):
            z_a, z_b = full_precision(z_a), full_precision(z_b)
            value, parts = self._loss(batch.gather(z_a), batch.gather(z_b))
        return Loss(value=value, outputs=z_a, parts=parts)


def full_precision(z: Tensor) -> Tensor:
    """Return z in float32, or unchanged if it is float64."""
    return z if z.dtype == torch.float64 else z.float()


def mlp(
    dim: int, d: int, *, hidden: int | None, layers: int, bias: bool = True, last_norm: bool = False
) -> nn.Sequential:
    """Return Linear-BN-ReLU ... Linear, from `dim` inputs to d outputs.

    A layer before a batch norm has no bias, as in alpha-ReQ's code (fastssl).

    Args:
        dim: inputs.
        d: outputs.
        hidden: width of the hidden layers; by default d.
        layers: linear layers.
        bias: of the last layer.
        last_norm: whether a batch norm follows the last layer.
    """
    modules: list[nn.Module] = []
    width = hidden or d
    for _ in range(layers - 1):
        modules += [nn.Linear(dim, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        dim = width
    modules.append(nn.Linear(dim, d, bias=bias and not last_norm))
    if last_norm:
        modules.append(nn.BatchNorm1d(d))
    return nn.Sequential(*modules)


def check_pair(z_a: Tensor, z_b: Tensor) -> None:
    """Raise `ValueError` unless both are [B, d] with B and d at least 2."""
    if z_a.shape != z_b.shape or z_a.ndim != 2 or min(z_a.shape) < 2:
        raise ValueError(
            f"z_a and z_b are {list(z_a.shape)} and {list(z_b.shape)}, but both must be [B, d], "
            "with B and d at least 2."
        )
