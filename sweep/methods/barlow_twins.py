"""Barlow Twins (Zbontar, Jing, Misra, LeCun and Deny, ICML 2021), as its authors published it.

Variants under the same name are other objectives, at the same lambda: solo-learn scales the
loss, alpha-ReQ's authors normalise rows first, others divide by the unbiased deviation.
Shapes: B images, d units of the projector.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sweep.config.models import ObjectiveConfig
from sweep.core.errors import ConfigError


def barlow_twins(config: ObjectiveConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss at the config's lambda."""
    if config.options:
        given = ", ".join(sorted(config.options))
        raise ConfigError(f"barlow_twins takes no options, but objective.options has {given}.")
    return partial(barlow_twins_loss, lambd=config.lambd)


def barlow_twins_loss(z_a: Tensor, z_b: Tensor, *, lambd: float) -> Tensor:
    """Return sum_i (1 - C_ii)^2 + lambd * sum_{i != j} C_ij^2.

    C = Z_a^T Z_b / B, where Z is the batch norm of z without affine (biased variance, eps
    1e-5), which is the paper's sum_n a_ni b_nj / sqrt(sum_n a_ni^2 sum_n b_nj^2) over
    centred a and b with B * 1e-5 added to each sum of squares: a dead unit gives 0, not NaN.

    Args:
        z_a, z_b: the two views' projections, floating point [B, d]; B and d at least 2. Half
            precisions are computed in float32, also under autocast; float64 stays.
        lambd: weight of the off-diagonal terms, > 0; the authors' is 5e-3.

    Returns:
        A scalar, float32 or float64.

    Raises:
        ValueError: shapes that differ or are not [B, d], or lambd <= 0.

    Source: equations 1 and 2, and algorithm 1.
    """
    if z_a.shape != z_b.shape or z_a.ndim != 2 or min(z_a.shape) < 2:
        raise ValueError(
            f"z_a and z_b are {list(z_a.shape)} and {list(z_b.shape)}, but must be [B, d] both, "
            "with B and d at least 2."
        )
    if not lambd > 0:
        raise ValueError(f"lambd is {lambd}, but must be > 0.")
    batch, d = z_a.shape
    with torch.autocast(z_a.device.type, enabled=False):
        c_dd = _standardised(z_a).T @ _standardised(z_b) / batch
    on_diagonal = (1 - c_dd.diagonal()).square().sum()
    # All but the last entry, in rows one longer: the diagonal is the first column.
    off_diagonal = c_dd.flatten()[:-1].view(d - 1, d + 1)[:, 1:].square().sum()
    return on_diagonal + lambd * off_diagonal


def _standardised(z_Bd: Tensor) -> Tensor:
    """Equivalent to `batch_norm` without affine, which on a CPU loses digits to a large mean."""
    full_Bd = z_Bd if z_Bd.dtype == torch.float64 else z_Bd.float()
    centred_Bd = full_Bd - full_Bd.mean(0)
    return centred_Bd * (centred_Bd.square().mean(0) + 1e-5).rsqrt()
