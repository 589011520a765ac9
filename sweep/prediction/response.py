"""The response: the accuracy that is expected of models which were not probed, with its noise.

Gaussian processes are fitted to several sets of label-free features (alpha alone, RankMe alone,
the varied fields, ...), each with several length scales and noise variances. The processes are
averaged with weights proportional to their marginal likelihood, so that a feature which
explains nothing gets almost no weight. Numpy and `scipy.special` only.
Shapes: m models, n of them with a known accuracy, F features each, K components of the average,
C kernels, k noise variances, L length scales, S feature sets.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]

LENGTH_SCALES = (0.3, 0.6, 1.2)
"""Length scales of the kernel, as parts of a feature's whole range. Our own choice: the smallest
fits several humps, the largest is nearly a line."""
NOISE_VARIANCES = (0.03, 0.1, 0.3, 1.0)
"""Variance that the features leave unexplained, relative to the variance of the response. It is
never 0, because the best model is often better than its neighbours in alpha."""

PRIOR_SPREAD = 0.1
"""Standard deviation of a study's accuracies that is assumed before `MIN_KNOWN` are known."""
MIN_SPREAD = 0.01
"""Smallest standard deviation of a study's accuracies that a fit assumes."""
MIN_KNOWN = 4
"""Known accuracies from which their own standard deviation is used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A mixture of normal distributions for each model.

    Args:
        mean_KM, sd_KM: mean and standard deviation of each of K components for each of m
            models, [K, m]. `sd_KM` includes the noise that the features do not explain.
        weight_K: weights of the components, [K]; they sum to 1.
        names: the name of each component's feature set, K of them.
    """

    mean_KM: Floats
    sd_KM: Floats
    weight_K: Floats
    names: tuple[str, ...]

    @property
    def mean(self) -> Floats:
        """Expected accuracy, [m]."""
        return np.asarray(self.weight_K @ self.mean_KM)

    @property
    def sd(self) -> Floats:
        """Standard deviation, [m]."""
        second = self.weight_K @ (self.sd_KM**2 + self.mean_KM**2)
        return np.sqrt(np.maximum(second - self.mean**2, 0.0))

    def improvement(self, best: float) -> Floats:
        """Return the expected gain over `best`, [m] (Mockus 1978): E max(y - best, 0)."""
        z_KM = (self.mean_KM - best) / self.sd_KM
        density_KM = np.exp(-0.5 * z_KM**2) / np.sqrt(2 * np.pi)
        return np.asarray(self.weight_K @ (self.sd_KM * (z_KM * ndtr(z_KM) + density_KM)))

    def exceeds(self, level: float) -> Floats:
        """Return the probability that the accuracy is above `level`, [m]."""
        return np.asarray(self.weight_K @ ndtr((self.mean_KM - level) / self.sd_KM))

    def shares(self) -> dict[str, float]:
        """Return the share of the weight that each feature set has; the shares sum to 1."""
        shares: dict[str, float] = {}
        for name, weight in zip(self.names, self.weight_K, strict=True):
            shares[name] = shares.get(name, 0.0) + float(weight)
        return shares


def predict(sets: dict[str, Floats], known: npt.NDArray[np.int64], y_n: Floats) -> Prediction:
    """Return the predicted accuracy of every model, given the accuracies of a few.

    Args:
        sets: name -> features [m, F] of all models, as `ranked` returns them. A set with F = 0
            stands for a response that no feature explains.
        known: rows of the models whose accuracy is known, [n], n at least 1.
        y_n: the accuracies of these models, as parts of 1, [n].

    Source: Rasmussen and Williams 2006, equations 2.23 to 2.25 and 2.30; the variance of the
    response is integrated out under an inverse-gamma prior.
    """
    x_SmF = list(sets.values())
    explain_S = np.array([x_mF.shape[1] > 0 for x_mF in x_SmF])
    scales_S = [LENGTH_SCALES if explains else LENGTH_SCALES[:1] for explains in explain_S]
    kernel_Cmn = np.concatenate(
        [_kernel(x_mF, known, scales) for x_mF, scales in zip(x_SmF, scales_S, strict=True)]
    )
    mean_CkM, sd_CkM, score_Ck = _process(kernel_Cmn, known, y_n, np.array(NOISE_VARIANCES))
    # Half of the prior belongs to the set without features; the other sets share the other half
    # evenly, whatever their number of components. The set without features has one noise only.
    names, prior_Ck = [], []
    for name, explains, scales in zip(sets, explain_S, scales_S, strict=True):
        for _ in scales:
            divisor = (max(len(sets) - 1, 1) if explains else 1) * len(scales)
            divisor *= len(NOISE_VARIANCES) if explains else 1
            log_prior_k = np.full(len(NOISE_VARIANCES), 0.0 if explains else -np.inf)
            log_prior_k[-1] = 0.0
            prior_Ck.append(log_prior_k - np.log(divisor))
            names += [name] * len(NOISE_VARIANCES)
    score_K = (score_Ck + np.array(prior_Ck)).ravel()
    weight_K = np.exp(score_K - score_K.max())
    positive_K = weight_K > 0
    return Prediction(
        mean_KM=mean_CkM.reshape(len(names), -1)[positive_K],
        sd_KM=sd_CkM.reshape(len(names), -1)[positive_K],
        weight_K=weight_K[positive_K] / weight_K.sum(),
        names=tuple(itertools.compress(names, positive_K)),
    )


def _kernel(x_mF: Floats, known: npt.NDArray[np.int64], scales: Sequence[float]) -> Floats:
    """Return the Matern 5/2 kernel between all models and the known ones, for each length scale.

    All 0 if there are no features. Shape [L, m, n].
    """
    if not x_mF.shape[1]:
        return np.zeros((len(scales), len(x_mF), len(known)))
    square_mn = ((x_mF[:, None, :] - x_mF[known][None, :, :]) ** 2).sum(-1)
    distance_mn = np.sqrt(5.0 * square_mn / x_mF.shape[1])
    root_Lmn = distance_mn / np.array(scales)[:, None, None]
    return np.asarray((1 + root_Lmn + root_Lmn**2 / 3) * np.exp(-root_Lmn))


def _process(
    kernel_Cmn: Floats, known: npt.NDArray[np.int64], y_n: Floats, noises_k: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return mean and standard deviation [C, k, m] and the log marginal likelihood [C, k].

    There are C kernels and k noise variances; one eigendecomposition per kernel serves all noise
    variances. A constant kernel of variance 1 is added, because the mean is not known either.
    """
    n = len(known)
    centre = float(y_n.mean())
    spread = max(float(y_n.std()), MIN_SPREAD) if n >= MIN_KNOWN else PRIOR_SPREAD
    shape, scale = 1.0 + n / 2, 0.5 * spread**2  # one pseudo-observation of the spread
    value_Cn, vector_Cnn = np.linalg.eigh(kernel_Cmn[:, known] + 1.0)
    rotated_Cn = (y_n - centre) @ vector_Cnn
    cross_Cmn = (kernel_Cmn + 1.0) @ vector_Cnn
    inverse_Ckn = 1 / (np.maximum(value_Cn, 0.0)[:, None, :] + noises_k[:, None])
    fit_Ck = scale + 0.5 * np.einsum("cn,ckn->ck", rotated_Cn**2, inverse_Ckn)
    mean_Ckm = centre + (inverse_Ckn * rotated_Cn[:, None, :]) @ cross_Cmn.transpose(0, 2, 1)
    explained_Ckm = inverse_Ckn @ (cross_Cmn**2).transpose(0, 2, 1)
    # The prior variance of one model: 1 of the constant, and 1 of the kernel unless it is all 0.
    prior_C11 = np.where(kernel_Cmn.any(axis=(1, 2), keepdims=True), 2.0, 1.0)
    unexplained_Ckm = np.maximum(prior_C11 - explained_Ckm, 0.0)
    sd_Ckm = np.sqrt(np.expand_dims(fit_Ck / shape, -1) * (unexplained_Ckm + noises_k[:, None]))
    return mean_Ckm, sd_Ckm, 0.5 * np.log(inverse_Ckn).sum(-1) - shape * np.log(fit_Ck)


def ranked(columns: Sequence[Floats]) -> Floats:
    """Return features as ranks between 0 and 1, [m, F]; an unknown value (NaN) gets 0.5.

    Ranks are used because alpha and RankMe of collapsed models lie far from those of all others.

    Args:
        columns: F features of m models each; ties get the mean of their ranks.
    """
    ranks = []
    for column in columns:
        known = ~np.isnan(column)
        rank_m = np.full(len(column), 0.5)
        if known.sum() > 1:  # scipy.stats.rankdata in a tenth of its time on small arrays
            _, level, count = np.unique(column[known], return_inverse=True, return_counts=True)
            rank = np.cumsum(count) - (count + 1) / 2
            rank_m[known] = rank[level] / (known.sum() - 1)
        ranks.append(rank_m)
    return np.stack(ranks, axis=1) if ranks else np.zeros((0, 0))
