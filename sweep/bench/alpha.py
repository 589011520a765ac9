"""The bench of alpha: ours, and scikit-learn's full PCA with the same fit."""

from __future__ import annotations

import statistics

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from sweep.bench.timing import Figure, in_turn, of_ceiling
from sweep.criteria.spectrum import Moments, alpha_of, power_law


def run(
    *,
    repeats: int = 5,
    device: str = "cpu",
    images: int = 10_000,
    dim: int = 2048,
    batch: int = 1000,
    first: int = 4,
    last: int = 100,
) -> Figure:
    """Time alpha of [images, dim] float32 features that arrive in batches on `device`.

    Wanted: at most a fifth of the baseline's seconds, and at most 1e-4 for `max_error`, the
    absolute difference of the two alphas.

    Args:
        repeats: timed runs of each.
        device: where the features are.
        images, dim: shape of the features.
        batch: images that arrive at once.
        first, last: the ranks of the eigenvalues that are fitted.
    """
    h_ND = features(images, dim)
    on_device_ND = h_ND.to(device)
    h_array = h_ND.numpy()

    def ours() -> float:
        moments = Moments()
        for h_BD in torch.split(on_device_ND, batch):
            moments.update(h_BD)
        value = alpha_of(moments.features(), first=first, last=last).value
        if value is None:
            raise RuntimeError("alpha of a power law is degenerate: this is a defect.")
        return value

    def baseline() -> float:
        spectrum = PCA(svd_solver="full").fit(h_array).explained_variance_
        return power_law(spectrum, first, last).alpha

    error = abs(ours() - baseline())
    timing = in_turn(ours, baseline, repeats=repeats, device=device)
    seconds = statistics.median(timing.ours)
    return timing.figure(
        "alpha",
        device=device,
        images=images,
        dim=dim,
        max_error=error,
        **of_ceiling(2 * images * dim**2, seconds, device),
    )


def features(images: int, dim: int, seed: int = 0) -> Tensor:
    """Return float32 [images, dim] of mean 1 and, in a random basis, variance 1/i along axis i."""
    generator = torch.Generator().manual_seed(seed)
    z_ND = torch.randn(images, dim, generator=generator)
    z_ND *= torch.arange(1, dim + 1).rsqrt()
    basis_DD, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator))
    return torch.addmm(torch.ones(()), z_ND, basis_DD)
