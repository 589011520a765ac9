"""VICReg (Bardes, Ponce and LeCun, ICLR 2022): invariance, variance and covariance of two views.

Shapes: B images, d outputs of the projector (the paper's expander).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, relu

from sweep.methods.base import Builder, Facts, Method
from sweep.methods.two_views import Layers, Positive, TwoViews, Width, check_pair, mlp

EPS = 1e-4
"""Added to the variance before the square root (algorithm 1, in the appendix)."""


def vicreg(
    *,
    d: Width = 2048,
    hidden: Width | None = None,
    layers: Layers = 3,
    sim_coeff: Positive = 25.0,
    std_coeff: Positive = 25.0,
    cov_coeff: Positive = 1.0,
    joint_batch_norm: bool = False,
) -> Builder:
    """Return the builder of VICReg. Its parts are the three terms of `vicreg_terms`.

    Args:
        d: outputs of the projector; 8192 in the paper, 2048 in solo-learn for CIFAR.
        hidden: width of the projector's hidden layers; by default d.
        layers: linear layers of the projector; 3 in the paper.
        sim_coeff, std_coeff, cov_coeff: weights of invariance, variance and covariance, named as
            in the authors' code; 25, 25 and 1 in the paper (section 4.2).
        joint_batch_norm: both views form one batch with one set of batch-norm statistics.
    """

    def loss(z_a: Tensor, z_b: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        terms = vicreg_terms(z_a, z_b)
        weights = {"invariance": sim_coeff, "variance": std_coeff, "covariance": cov_coeff}
        value = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return value, {name: term.detach() for name, term in terms.items()}

    def build(encoder: nn.Module, facts: Facts) -> Method:
        projector = mlp(facts.dim, d, hidden=hidden, layers=layers, bias=False)
        return TwoViews(encoder, projector, loss, joint_batch_norm=joint_batch_norm)

    return build


def vicreg_terms(z_a: Tensor, z_b: Tensor) -> dict[str, Tensor]:
    """Return the three terms of the loss, scaled by 1 / d.

    invariance: mean squared difference of the views.
    variance: mean over outputs and views of relu(1 - standard deviation).
    covariance: sum over both views of the squared off-diagonal covariances, divided by d.

    Args:
        z_a, z_b: floating point [B, d]; B and d at least 2.

    Raises:
        ValueError: shapes that differ or are not [B, d].

    Source: equations 1 to 6, scaled as in the authors' code: the invariance is divided by d, and
    the variance is the mean over both views.
    """
    check_pair(z_a, z_b)
    terms = [_variance_and_covariance(z_Bd) for z_Bd in (z_a, z_b)]
    return {
        "invariance": mse_loss(z_a, z_b),
        "variance": (terms[0][0] + terms[1][0]) / 2,
        "covariance": terms[0][1] + terms[1][1],
    }


def _variance_and_covariance(z_Bd: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance term and the covariance term of one view."""
    batch, d = z_Bd.shape
    centred_Bd = z_Bd - z_Bd.mean(0)
    deviation_d = (centred_Bd.square().sum(0) / (batch - 1) + EPS).sqrt()
    covariance_dd = centred_Bd.T @ centred_Bd / (batch - 1)
    squares = covariance_dd.square()
    return relu(1 - deviation_d).mean(), (squares.sum() - squares.diagonal().sum()) / d
