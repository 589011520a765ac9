"""BYOL (Grill et al., NeurIPS 2020): predict a slow copy's projection of the other view.

Shapes: B images, C channels, H x W pixels, D features, d outputs of the projector.
"""

from __future__ import annotations

import copy
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from sweep.methods.base import Batch, Builder, Facts, Loss, Method
from sweep.methods.two_views import Layers, Width, full_precision, mlp


def byol(
    *,
    d: Width = 256,
    hidden: Width = 4096,
    layers: Layers = 2,
    tau: Annotated[float, Field(ge=0, le=1)] = 0.99,
) -> Builder:
    """Return the builder of BYOL.

    Args:
        d: outputs of projector and predictor; 256 in the paper (appendix A).
        hidden: width of their hidden layers; 4096 in the paper.
        layers: linear layers of projector and predictor; 2 in the paper.
        tau: share of the target's weights that a step keeps, at the start of training; 0.996 in
            the paper for 1000 epochs of ImageNet, 0.99 in solo-learn for CIFAR.
    """

    def build(encoder: nn.Module, facts: Facts) -> Method:
        return Byol(
            encoder,
            mlp(facts.dim, d, hidden=hidden, layers=layers, bias=False),
            mlp(d, d, hidden=hidden, layers=layers, bias=False),
            tau=tau,
        )

    return build


class Byol(Method):
    """Encoder, projector and predictor; and the target, a moving average of encoder and projector.

    Args:
        encoder: [B, C, H, W] -> [B, D].
        projector: [B, D] -> [B, d].
        predictor: [B, d] -> [B, d].
        tau: see `byol`.
    """

    parallel = True

    def __init__(
        self, encoder: nn.Module, projector: nn.Module, predictor: nn.Module, *, tau: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.predictor = predictor
        self.target = nn.Sequential(copy.deepcopy(encoder), copy.deepcopy(projector))
        self.target.requires_grad_(False)
        self._tau = tau

    def forward(self, batch: Batch) -> Loss:
        """Move the target towards the online networks, and return the loss of both views.

        The target moves first, because the optimiser's step came before this call. So tau is one
        step ahead of the authors' code. Parts: `regression`, the mean of `byol_loss` over both
        directions, 0 to 4.
        """
        self._follow(batch.done)
        x_a, x_b = batch.view(), batch.view(second=True)
        z_a, z_b = self.projector(self.encoder(x_a)), self.projector(self.encoder(x_b))
        p_a, p_b = self.predictor(z_a), self.predictor(z_b)
        with torch.no_grad():
            t_a, t_b = self.target(x_a), self.target(x_b)
        value = byol_loss(p_a, t_b) + byol_loss(p_b, t_a)
        return Loss(value=value, outputs=z_a, parts={"regression": value.detach() / 2})

    @torch.no_grad()
    def _follow(self, done: float) -> None:
        tau = tau_at(done, start=self._tau)
        online = [*self.encoder.parameters(), *self.projector.parameters()]
        for slow, fast in zip(self.target.parameters(), online, strict=True):
            slow.lerp_(fast, 1 - tau)


def tau_at(done: float, *, start: float) -> float:
    """Return tau = 1 - (1 - start) (cos(pi done) + 1) / 2: from `start` at 0 to 1 at the end.

    Args:
        done: share of training that is done, 0 to 1.
        start: tau at the start.

    Source: section 3.3, implementation details.
    """
    return 1 - (1 - start) * (math.cos(math.pi * done) + 1) / 2


def byol_loss(p_Bd: Tensor, target_Bd: Tensor) -> Tensor:
    """Return the mean over the batch of 2 - 2 cos(p, target), 0 to 4.

    This is the squared distance of the two vectors after each is divided by its length.

    Args:
        p_Bd, target_Bd: floating point [B, d]; half precisions are computed in float32.

    Source: equation 2, for one direction; BYOL's loss is the sum of both directions.
    """
    p_Bd, target_Bd = full_precision(p_Bd), full_precision(target_Bd)
    with torch.autocast(p_Bd.device.type, enabled=False):
        return (2 - 2 * cosine_similarity(p_Bd, target_Bd, dim=1)).mean()
