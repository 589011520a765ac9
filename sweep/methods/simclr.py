"""SimCLR (Chen, Kornblith, Norouzi and Hinton, ICML 2020): find the other view of an image.

Shapes: B images, d outputs of the projector; N = 2B views of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from sweep.methods.base import Builder, Facts, Method
from sweep.methods.two_views import Layers, Positive, TwoViews, Width, check_pair, mlp


def simclr(
    *,
    d: Width = 128,
    hidden: Width | None = None,
    layers: Layers = 2,
    temperature: Positive = 0.5,
    joint_batch_norm: bool = False,
) -> Builder:
    """Return the builder of SimCLR. Its parts are the parts of `nt_xent`.

    Args:
        d: outputs of the projector; 128 in the paper (section 2.1). A batch norm follows the last
            layer, as in the authors' code.
        hidden: width of the projector's hidden layers; by default the width of the encoder's
            features, as in the paper.
        layers: linear layers of the projector; 2 in the paper.
        temperature: divides the cosines; 0.5 in the paper for CIFAR-10 (appendix B.9).
        joint_batch_norm: both views form one batch with one set of batch-norm statistics.
    """

    def loss(z_a: Tensor, z_b: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        return nt_xent(z_a, z_b, temperature=temperature)

    def build(encoder: nn.Module, facts: Facts) -> Method:
        width = hidden or facts.dim
        projector = mlp(facts.dim, d, hidden=width, layers=layers, last_norm=True)
        return TwoViews(encoder, projector, loss, joint_batch_norm=joint_batch_norm)

    return build


def nt_xent(z_a: Tensor, z_b: Tensor, *, temperature: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the normalised temperature-scaled cross-entropy, and its parts.

    Args:
        z_a, z_b: floating point [B, d]; B and d at least 2.
        temperature: > 0.

    Returns:
        The mean over all N views i of -log(exp(s_ij / t) / sum_{k != i} exp(s_ik / t)), where s
        are cosines and j is the other view of i's image. Parts: `positive`, the mean of s_ij, and
        `negative`, the mean over i of t log mean_k exp(s_ik / t), k over the views of other images.

    Raises:
        ValueError: shapes that differ or are not [B, d].

    Source: equation 1 and algorithm 1.
    """
    check_pair(z_a, z_b)
    batch = len(z_a)
    unit_Nd = normalize(torch.cat([z_a, z_b]), dim=1)
    cosine_NN = unit_Nd @ unit_Nd.T
    itself_NN = torch.eye(2 * batch, dtype=torch.bool, device=z_a.device)
    other_N = torch.arange(2 * batch, device=z_a.device).roll(batch)
    logits_NN = (cosine_NN / temperature).masked_fill(itself_NN, -math.inf)
    value = cross_entropy(logits_NN, other_N)
    with torch.no_grad():
        positive_N = cosine_NN.gather(1, other_N[:, None])
        negatives_NN = logits_NN.scatter(1, other_N[:, None], -math.inf)
        soft_maximum_N = negatives_NN.logsumexp(1) - math.log(2 * batch - 2)
    return value, {
        "positive": positive_N.mean(),
        "negative": temperature * soft_maximum_N.mean(),
    }
