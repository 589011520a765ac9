"""Methods whose second process misbehaves, and a method that does not say that it may be split."""

from __future__ import annotations

import sys

import torch
from torch import nn

from sweep.methods import Batch, Builder, Facts, Loss, Method


class Features(Method):
    """The mean square of the features, which is a mean over images."""

    parallel = True

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: Batch) -> Loss:
        """Return the loss of one view of each image."""
        return Loss(value=self.encoder(batch.view()).square().mean())


class Fails(Features):
    """Raises an error in each process but the first, after half of the training."""

    parallel = True

    def forward(self, batch: Batch) -> Loss:
        """Return the loss of one view of each image."""
        if batch.rank and batch.done > 0.5:
            raise ValueError("the second process had enough")
        return super().forward(batch)


class Unsplit(Features):
    """Has a `forward` of its own, and inherits what its base declares for another one."""

    def forward(self, batch: Batch) -> Loss:
        """Return the loss of one view of each image."""
        return super().forward(batch)


class Alone(Features):
    """Has a loss over the batch that it does not gather, and draws that it does not part."""

    parallel = True

    def __init__(self, encoder: nn.Module, fault: str) -> None:
        super().__init__(encoder)
        self._fault = fault

    def forward(self, batch: Batch) -> Loss:
        """Return a loss of one view of each image."""
        h_BD = self.encoder(batch.view())
        match self._fault:
            case "no gather":
                return Loss(value=h_BD.var(0).mean())
            case "own draws":
                shape = (len(batch.images), 1)
                return Loss(value=(h_BD * torch.rand(shape, generator=batch.draws)).mean())
            case "own gradient":
                return Loss(value=torch.cat([h_BD, batch.gather(h_BD.detach())]).var(0).mean())
            case "uneven gathers":
                if batch.rank == 0:
                    h_BD = batch.gather(h_BD)
                return Loss(value=h_BD.mean())
            case "too few":
                return Loss(value=h_BD[:17].mean() + h_BD[len(h_BD) // 2 + 10].mean())
            case _:
                return Loss(value=batch.gather(h_BD).var(0).mean() + h_BD.square().mean())


class OwnNorm(nn.BatchNorm1d):
    """A batch norm of a class that sweep does not know."""


def fails() -> Builder:
    """Return the builder of `Fails`."""
    return lambda encoder, facts: Fails(encoder)


def unsplit() -> Builder:
    """Return the builder of `Unsplit`."""
    return lambda encoder, facts: Unsplit(encoder)


def alone(*, fault: str = "none") -> Builder:
    """Return the builder of `Alone`."""
    return lambda encoder, facts: Alone(encoder, fault)


def own_norm() -> Builder:
    """Return the builder of `Features` on an encoder that ends in an `OwnNorm`."""

    def build(encoder: nn.Module, facts: Facts) -> Method:
        ended = nn.Sequential(encoder, OwnNorm(facts.dim))
        ended.dim = facts.dim  # type: ignore[assignment]  # as of an encoder
        return Features(ended)

    return build


def cannot_start() -> Builder:
    """Return the builder of `Features`, which ends any process but one that runs pytest."""
    if "pytest" not in sys.modules:
        raise OSError("nothing can be built in this process")
    return lambda encoder, facts: Features(encoder)
