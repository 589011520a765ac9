"""Barlow Twins (Zbontar, Jing, Misra, LeCun and Deny, ICML 2021), as its authors published it.

Other repositories use this name for variants. At the same lambda these are different losses:
solo-learn scales the loss, alpha-ReQ's authors normalise rows first, and others divide by the
unbiased deviation.
Shapes: B images, d outputs of the projector.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sweep.methods.base import Builder, Facts, Method
from sweep.methods.two_views import Layers, Positive, TwoViews, Width, check_pair, mlp


def barlow_twins(
    *,
    d: Width = 2048,
    hidden: Width | None = None,
    layers: Layers = 2,
    lambd: Positive = 5e-3,
    scale: Positive = 1.0,
    unbiased: bool = False,
    joint_batch_norm: bool = False,
) -> Builder:
    """Return the builder of Barlow Twins.

    Parts: `invariance` = mean_i (1 - C_ii)^2, and `redundancy` = mean_i sum_{j != i} C_ij^2, so
    that loss = d (invariance + lambd * redundancy).

    Args:
        d: outputs of the projector; 8192 in the paper, 2048 in solo-learn for CIFAR.
        hidden: width of the projector's hidden layers; by default d.
        layers: linear layers of the projector; 2 in alpha-ReQ (fastssl), 3 in Barlow Twins.
        lambd: weight of the redundancy term; 5e-3 in Barlow Twins (section 2.2).
        scale: factor of the whole loss; 1 in the paper, 0.1 in solo-learn for CIFAR.
        unbiased: divide by the unbiased deviation of the batch, as some repositories do.
        joint_batch_norm: both views form one batch with one set of batch-norm statistics; the
            authors' code runs one view after the other.
    """

    def loss(z_a: Tensor, z_b: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c_dd = cross_correlation(z_a, z_b, unbiased=unbiased)
        on, off = diagonal_terms(c_dd)
        parts = {"invariance": on.detach() / d, "redundancy": off.detach() / d}
        value = on + lambd * off
        return (value if scale == 1.0 else scale * value), parts

    def build(encoder: nn.Module, facts: Facts) -> Method:
        projector = mlp(facts.dim, d, hidden=hidden, layers=layers)
        return TwoViews(encoder, projector, loss, joint_batch_norm=joint_batch_norm)

    return build


def barlow_twins_loss(z_a: Tensor, z_b: Tensor, *, lambd: float) -> Tensor:
    """Return sum_i (1 - C_ii)^2 + lambd * sum_{i != j} C_ij^2.

    Args:
        z_a, z_b: the two views' projections, floating point [B, d]; B and d at least 2. Half
            precisions are computed in float32, also under autocast; float64 stays float64.
        lambd: weight of the off-diagonal terms, > 0; 5e-3 in the paper.

    Returns:
        A scalar, float32 or float64.

    Raises:
        ValueError: shapes that differ or are not [B, d], or lambd <= 0.

    Source: equations 1 and 2, and algorithm 1.
    """
    if not lambd > 0:
        raise ValueError(f"lambd is {lambd}, but must be > 0.")
    on, off = diagonal_terms(cross_correlation(z_a, z_b))
    return on + lambd * off


def cross_correlation(z_a: Tensor, z_b: Tensor, *, unbiased: bool = False) -> Tensor:
    """Return C = Z_a^T Z_b / B, [d, d], of standardised projections.

    Z is the batch norm of z without affine (biased variance, eps 1e-5), which is the paper's
    sum_n a_ni b_nj / sqrt(sum_n a_ni^2 sum_n b_nj^2) over centred a and b with B * 1e-5 added to
    each sum of squares: a dead unit gives 0, not NaN.

    Args:
        z_a, z_b: floating point [B, d].
        unbiased: divide by the variance with 1 / (B - 1) instead.

    Raises:
        ValueError: shapes that differ or are not [B, d].
    """
    check_pair(z_a, z_b)
    with torch.autocast(z_a.device.type, enabled=False):
        return _standardised(z_a, unbiased).T @ _standardised(z_b, unbiased) / len(z_a)


def diagonal_terms(c_dd: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum_i (1 - C_ii)^2 and sum_{i != j} C_ij^2."""
    d = len(c_dd)
    on_diagonal = (1 - c_dd.diagonal()).square().sum()
    # Without the last entry, in rows of d + 1 entries, the diagonal is the first column.
    off_diagonal = c_dd.flatten()[:-1].view(d - 1, d + 1)[:, 1:].square().sum()
    return on_diagonal, off_diagonal


def _standardised(z_Bd: Tensor, unbiased: bool) -> Tensor:
    """Return z with mean 0 and variance 1 in each column.

    Equivalent to `batch_norm` without affine, which loses digits on a CPU if the mean is large.
    """
    full_Bd = z_Bd if z_Bd.dtype == torch.float64 else z_Bd.float()
    centred_Bd = full_Bd - full_Bd.mean(0)
    variance_d = centred_Bd.square().mean(0)
    if unbiased:
        variance_d = variance_d * (len(z_Bd) / (len(z_Bd) - 1))
    return centred_Bd * (variance_d + 1e-5).rsqrt()
