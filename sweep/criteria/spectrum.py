"""The spectrum of features: streamed covariance, eigenvalues, power-law fit, ranks.

Pure numerics in float64. No N x N matrix is made, and no N x D matrix is decomposed. The caller
chooses the images and the mode of the network that give the features.
Shapes: N images, B of them in a batch, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sweep.core.records import Measure, MeasureStatus

Array = npt.NDArray[np.float64]

GOOD_FIT = 0.95
"""A power law with R^2 below this is flagged; the alpha-ReQ authors then narrow the window."""

BLOCK = 512
"""Rows of the covariance that are accumulated at once."""


class Moments:
    """Mean and covariance of features that arrive in batches, computed on the features' device.

    Each batch is centred by its own mean, and batches are merged pairwise (Chan, Golub and
    LeVeque 1983, eq. 2.1), so that a large mean causes no cancellation. Equivalent to
    `np.mean(h, 0)` and `np.cov(h.T, bias=True)` in float64.
    """

    def __init__(self) -> None:
        self.count = 0
        self._eps = 0.0
        self._mean_D = torch.empty(0)
        self._scatter_DD = torch.empty(0)

    def update(self, h_BD: Tensor) -> None:
        """Add a batch.

        Args:
            h_BD: float [B, D], B at least 1. NaN and infinities are accepted; `Features.finite`
                is then false.

        Raises:
            ValueError: not [B, D], not floating point, or D differs from earlier batches.
        """
        _check_matrix("features", h_BD)
        # Apple's GPUs have no float64.
        device = "cpu" if h_BD.device.type == "mps" else h_BD.device
        h_BD = h_BD.detach().to(device)
        mean_D = h_BD.mean(0, dtype=torch.float64)
        self._begin(mean_D)
        _add_gram(self._scatter_DD, h_BD - mean_D)
        self._absorb(len(h_BD), mean_D)
        self._eps = max(self._eps, torch.finfo(h_BD.dtype).eps)

    def merge(self, other: Moments) -> None:
        """Add the batches of `other`, which may be on another device."""
        if other.count == 0:
            return
        device = self._mean_D.device if self.count else other._mean_D.device
        mean_D = other._mean_D.to(device)
        self._begin(mean_D)
        self._scatter_DD += other._scatter_DD.to(device)
        self._absorb(other.count, mean_D)
        self._eps = max(self._eps, other._eps)

    @property
    def mean_D(self) -> Tensor:
        """Mean, float64 [D]."""
        return self._mean_D

    @property
    def covariance_DD(self) -> Tensor:
        """Centred covariance with 1/N, float64 [D, D]."""
        upper_DD = self._scatter_DD.triu()
        return upper_DD.add_(upper_DD.triu(1).T).div_(max(self.count, 1))

    def features(self) -> Features:
        """Return the `Features` that criteria read; `ValueError` if no batch was added."""
        if self.count == 0:
            raise ValueError("No features were added; call update(h_BD) first.")
        return Features(
            count=self.count,
            mean_D=self._mean_D.clone(),
            covariance_DD=self.covariance_DD,
            eps=self._eps,
        )

    def _begin(self, like_D: Tensor) -> None:
        if self.count == 0:
            self._mean_D = torch.zeros_like(like_D)
            self._scatter_DD = like_D.new_zeros(len(like_D), len(like_D))
        elif len(like_D) != len(self._mean_D):
            raise ValueError(
                f"features have {len(like_D)} dimensions, but earlier batches have "
                f"{len(self._mean_D)}; use one Moments for each encoder."
            )

    def _absorb(self, count: int, mean_D: Tensor) -> None:
        """Update count and mean; add the scatter between the two means."""
        total = self.count + count
        delta_D = mean_D - self._mean_D
        self._scatter_DD.addr_(delta_D, delta_D, alpha=self.count * count / total)
        self._mean_D = self._mean_D + delta_D * (count / total)
        self.count = total


def _add_gram(scatter_DD: Tensor, x_BD: Tensor) -> None:
    """Add x^T x to the blocks on and above the diagonal: 0.6 times the time of `x.T @ x`."""
    for start in range(0, len(scatter_DD), BLOCK):
        rows_BD = x_BD[:, start : start + BLOCK]
        scatter_DD[start : start + BLOCK, start:].addmm_(rows_BD.T, x_BD[:, start:])


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """The first two moments of N features, which is all that criteria read. No labels.

    Args:
        count: N.
        mean_D: mean, float64 [D].
        covariance_DD: centred covariance with 1/N, float64 [D, D].
        eps: relative rounding of the features that were added, `torch.finfo(dtype).eps`.
    """

    count: int
    mean_D: Tensor
    covariance_DD: Tensor
    eps: float

    @property
    def dim(self) -> int:
        """Number of dimensions, D."""
        return len(self.mean_D)

    @cached_property
    def finite(self) -> bool:
        """False if any feature was NaN or infinite."""
        # The diagonal bounds all other entries: |c_ij| <= sqrt(c_ii c_jj).
        variance_D = self.covariance_DD.diagonal()
        return bool(variance_D.isfinite().all() and self.mean_D.isfinite().all())

    @cached_property
    def eigenvalues_D(self) -> Array:
        """Eigenvalues of the centred covariance, [D], descending, >= 0; NaN if not finite."""
        return _eigenvalues(self.covariance_DD, self.finite)

    @cached_property
    def moment_eigenvalues_D(self) -> Array:
        """Eigenvalues of the uncentred second moment h^T h / N, [D], descending.

        They equal the squared singular values of the features, divided by N.
        """
        moment_DD = torch.addr(self.covariance_DD, self.mean_D, self.mean_D)
        return _eigenvalues(moment_DD, self.finite)

    @cached_property
    def rank(self) -> int:
        """Number of eigenvalues that are larger than rounding errors alone can make them.

        There are three rounding errors. The eigenvalue solver's is D eps lambda_1 in float64.
        Features that were rounded to `eps` have noise of variance (eps h)^2 / 12 per dimension;
        the bound is 48 times that, because a network's last sum rounds more than once. Centring
        rounds to about 1e-15 of the mean in each dimension.
        """
        if not self.finite:
            return 0
        square_D = self.covariance_DD.diagonal() + self.mean_D.square()
        solver = self.dim * np.finfo(np.float64).eps * self.eigenvalues_D[0]
        arrival = (2 * self.eps) ** 2 * float(square_D.max())
        centring = 1e-15**2 * float(self.mean_D.square().sum())
        return int(np.sum(self.eigenvalues_D > max(solver, arrival, centring)))


def _eigenvalues(matrix_DD: Tensor, finite: bool) -> Array:
    if not finite:
        return np.full(len(matrix_DD), np.nan)
    ascending: Array = torch.linalg.eigvalsh(matrix_DD).cpu().numpy()
    return np.maximum(ascending[::-1], 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The fit log lambda_i = -alpha log i + intercept; `r2` is unweighted, over the same ranks."""

    alpha: float
    intercept: float
    r2: float


def power_law(eigenvalues: npt.ArrayLike, first: int, last: int) -> Fit:
    """Fit log eigenvalue to log rank over ranks first..last, weights 1/rank.

    Equivalent to `np.polyfit(log i, log lambda_i, 1, w=i**-0.5)`, in closed form.

    Args:
        eigenvalues: [D], descending.
        first, last: the first and the last rank of the window, counted from 1, both included.

    Raises:
        ValueError: fewer than 3 ranks, ranks above D, or an eigenvalue <= 0 in the window.

    Source: Agrawal, Mondal, Ghosh, Richards, alpha-ReQ, NeurIPS 2022, section 2 and the authors'
    code.
    """
    values: Array = np.asarray(eigenvalues, dtype=np.float64)
    _check_window(first, last, len(values))
    window = values[first - 1 : last]
    if not (window > 0).all():
        raise ValueError(
            f"eigenvalues at ranks {first}..{last} must be > 0, but the smallest is {window.min()}."
        )
    rank = np.arange(first, last + 1, dtype=np.float64)
    x, y, weight = np.log(rank), np.log(window), 1 / rank
    dx, dy = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    slope = np.sum(weight * dx * dy) / np.sum(weight * dx**2)
    intercept = np.average(y - slope * x, weights=weight)
    residual = np.sum((y - slope * x - intercept) ** 2)
    spread = np.sum((y - y.mean()) ** 2)
    # A flat spectrum is fitted exactly, but its R^2 would be 0/0.
    flat = spread <= len(y) * 1e-20
    return Fit(
        alpha=float(-slope),
        intercept=float(intercept),
        r2=1.0 if flat else float(1 - residual / spread),
    )


def alpha_of(features: Features, *, first: int = 4, last: int = 100) -> Measure:
    """Return alpha of features whose moments are known; see `alpha`."""
    detail: dict[str, Any] = {
        "first": first,
        "last": last,
        "images": features.count,
        "dim": features.dim,
        # With so few images the tail of the spectrum is partly sampling noise: alpha is biased.
        "undersampled": features.count < 2 * features.dim,
    }
    if not features.finite:
        return _nonfinite("alpha", detail, fatal=True)
    if features.count <= last:
        reason = f"{features.count} images, more than {last} needed"
        return _degenerate("alpha", detail, reason, fatal=True)
    if features.rank < last:
        return _degenerate("alpha", detail, f"rank {features.rank} is below {last}", fatal=True)
    fit = power_law(features.eigenvalues_D, first, last)
    detail["r2"] = fit.r2
    status: MeasureStatus = "ok" if fit.r2 >= GOOD_FIT else "poor_fit"
    return Measure(name="alpha", value=fit.alpha, status=status, fatal=True, detail=detail)


def rankme_of(features: Features) -> Measure:
    """Return RankMe of features whose moments are known; see `rankme`."""
    detail: dict[str, Any] = {"images": features.count, "dim": features.dim}
    if not features.finite:
        return _nonfinite("rankme", detail)
    if features.rank == 0:
        return _degenerate("rankme", detail, "the features are constant")
    values = features.moment_eigenvalues_D[: min(features.count, features.dim)]
    # Rounding errors of the solver, 1e-16, would become singular values of 1e-8 by the root.
    solver = features.dim * np.finfo(np.float64).eps * values[0]
    sigma = np.sqrt(np.where(values > solver, values, 0.0))
    p = sigma / sigma.sum() + 1e-7
    return Measure(name="rankme", value=float(np.exp(-np.sum(p * np.log(p)))), detail=detail)


def alpha(features: Tensor | npt.ArrayLike, *, first: int = 4, last: int = 100) -> Measure:
    """Return the decay exponent of the eigenspectrum of features: lambda_i ~ i^-alpha.

    Args:
        features: [N, D], floating point: encoder outputs of unaugmented images in
            evaluation mode, N well above D.
        first, last: the first and the last rank of the fit, counted from 1, both included;
            the authors use 4..100. Alphas of different windows are not comparable.

    Returns:
        `Measure` named alpha. Status `poor_fit`: R^2 is below 0.95; the value is given.
        `degenerate`, without a value: N <= last, or the numerical rank is below `last`.
        `nonfinite`, without a value: a feature is NaN or infinite. `detail` has first, last, r2,
        images, dim, and undersampled, which is true if N < 2 D: the tail of the spectrum is
        then partly sampling noise.

    Raises:
        ValueError: not floats [N, D], or a window that does not fit into D dimensions.

    Source: Agrawal, Mondal, Ghosh, Richards, "alpha-ReQ: Assessing Representation Quality in
    Self-Supervised Learning by measuring eigenspectrum decay", NeurIPS 2022, eq. 1; weights
    1/i and windows as in the authors' code.
    """
    h_ND = _as_tensor(features)
    _check_window(first, last, h_ND.shape[1])
    return alpha_of(summarise(h_ND), first=first, last=last)


def rankme(features: Tensor | npt.ArrayLike) -> Measure:
    """Return RankMe, the entropy rank of uncentred features: between 1 and min(N, D).

    RankMe is exp(-sum_k p_k log p_k) with p_k = sigma_k / sum sigma + 1e-7, where sigma are the
    singular values of the features.

    Args:
        features: [N, D], floating point; the paper uses 25,600 images.

    Returns:
        `Measure` named rankme. Status `degenerate`: all images have the same features.
        `nonfinite`: a feature is NaN or infinite. `detail` has images and dim.

    Raises:
        ValueError: not floats [N, D].

    Source: Garrido, Balestriero, Najman, LeCun, "RankMe: Assessing the Downstream Performance
    of Pretrained Self-Supervised Representations by Their Rank", ICML 2023, eq. 1 and 2.
    """
    return rankme_of(summarise(_as_tensor(features)))


def summarise(h_ND: Tensor, *, batch: int = 8192) -> Features:
    """Return the moments of features [N, D] in memory; `batch` rows at a time are in float64."""
    moments = Moments()
    for h_BD in torch.split(h_ND, batch):
        moments.update(h_BD)
    return moments.features()


def _nonfinite(name: str, detail: dict[str, Any], *, fatal: bool = False) -> Measure:
    detail = detail | {"reason": "a feature is NaN or infinite"}
    return Measure(name=name, value=None, status="nonfinite", fatal=fatal, detail=detail)


def _degenerate(name: str, detail: dict[str, Any], reason: str, *, fatal: bool = False) -> Measure:
    detail = detail | {"reason": reason}
    return Measure(name=name, value=None, status="degenerate", fatal=fatal, detail=detail)


def _as_tensor(features: Tensor | npt.ArrayLike) -> Tensor:
    # A copy, because a read-only array cannot become a tensor.
    h_ND = features if isinstance(features, Tensor) else torch.tensor(np.asarray(features))
    _check_matrix("features", h_ND)
    return h_ND


def _check_matrix(name: str, h: Tensor) -> None:
    if h.ndim != 2 or 0 in h.shape:
        raise ValueError(
            f"{name} are {list(h.shape)}, but must be [N, D] with N and D at least 1; "
            "pool or flatten each image to one row."
        )
    if not h.is_floating_point():
        raise ValueError(f"{name} are {h.dtype}, but must be floating point; use .float().")


def _check_window(first: int, last: int, dim: int) -> None:
    if first < 1 or last < first + 2 or last > dim:
        raise ValueError(
            f"the window is {first}..{last}, but must have 3 ranks or more within 1..{dim}; "
            "choose first >= 1 and last between first + 2 and the number of dimensions."
        )
