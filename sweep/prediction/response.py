"""A response fitted with noise: what accuracy to expect of a model that was not probed.

Gaussian processes over several sets of label-free numbers (alpha alone, RankMe alone, the
varied fields, ...), each with several length scales and shares of noise; they are averaged by
their marginal likelihood, so that a number which explains nothing gets no say. Pure numpy.
Shapes: n models with a known accuracy, m without, F numbers each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]

LENGTHS = (0.3, 0.6, 1.2)
"""Of the kernel, in a feature's whole range; an own choice, from humps to near lines."""
NOISES = (0.03, 0.1, 0.3, 1.0)
"""Variance of what the features leave unexplained, beside that of the response; never nothing,
for the best model is often one that does better than its neighbours in alpha."""

USUAL, LEAST, ENOUGH = 0.1, 0.01, 4
"""Spread of the accuracies of a sweep: before `ENOUGH` are known, and at the least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A mixture of normal distributions for each model.

    Args:
        mean_KM, sd_KM: of K components for m models; `sd` holds what a model has of its own,
            beyond the features, too.
        weight_K: of the components, summing to 1.
        names: of the feature set of each component.
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
        """Return how much of the weight each feature set has."""
        out: dict[str, float] = {}
        for name, weight in zip(self.names, self.weight_K, strict=True):
            out[name] = out.get(name, 0.0) + float(weight)
        return out


def predict(sets: dict[str, Floats], known: npt.NDArray[np.int64], y_n: Floats) -> Prediction:
    """Return what to expect of every model, from the accuracies of a few.

    Args:
        sets: name -> features [m, F] of all models, ranked by `ranked`; F = 0 says that
            nothing is explained.
        known: rows of the models whose accuracy is known, [n], n at least 1.
        y_n: their accuracies.

    Source: Rasmussen and Williams 2006, equations 2.23 to 2.25 and 2.30; the response's
    variance is integrated out under an inverse-gamma prior.
    """
    x_SmF = list(sets.values())
    explain = np.array([x_mF.shape[1] > 0 for x_mF in x_SmF])
    lengths = [LENGTHS if explains else LENGTHS[:1] for explains in explain]
    kernel_Cmn = np.concatenate(
        [_kernel(x_mF, known, some) for x_mF, some in zip(x_SmF, lengths, strict=True)]
    )
    mean_CkM, sd_CkM, score_Ck = _process(kernel_Cmn, known, y_n, np.array(NOISES))
    # Half of the prior says that nothing explains anything; the other sets share the rest
    # evenly, whatever their number of components. What explains nothing has one noise only.
    names, prior_Ck = [], []
    for name, explains, some in zip(sets, explain, lengths, strict=True):
        for _ in some:
            share = (max(len(sets) - 1, 1) if explains else 1) * len(some)
            share *= len(NOISES) if explains else 1
            only = np.zeros(len(NOISES)) if explains else np.array([-np.inf] * len(NOISES))
            only[-1] = 0.0
            prior_Ck.append(only - np.log(share))
            names += [name] * len(NOISES)
    score_K = (score_Ck + np.array(prior_Ck)).ravel()
    weight_K = np.exp(score_K - score_K.max())
    kept = weight_K > 0
    return Prediction(
        mean_KM=mean_CkM.reshape(len(names), -1)[kept],
        sd_KM=sd_CkM.reshape(len(names), -1)[kept],
        weight_K=weight_K[kept] / weight_K.sum(),
        names=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
    )


def _kernel(x_mF: Floats, known: npt.NDArray[np.int64], lengths: Sequence[float]) -> Floats:
    """Return the Matern 5/2 kernel between all models and the known ones, for each length.

    0 without features. Shape [len(lengths), m, n].
    """
    if not x_mF.shape[1]:
        return np.zeros((len(lengths), len(x_mF), len(known)))
    square_mn = ((x_mF[:, None, :] - x_mF[known][None, :, :]) ** 2).sum(-1)
    away_mn = np.sqrt(5.0 * square_mn / x_mF.shape[1])
    root_Lmn = away_mn / np.array(lengths)[:, None, None]
    return np.asarray((1 + root_Lmn + root_Lmn**2 / 3) * np.exp(-root_Lmn))


def _process(
    kernel_Cmn: Floats, known: npt.NDArray[np.int64], y_n: Floats, noises_k: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return mean and standard deviation [C, k, m] and the log evidence [C, k].

    For C kernels and k shares of noise: one eigendecomposition a kernel serves every noise. A
    constant of variance 1 stands beside the kernel, for the mean is not known either.
    """
    n = len(known)
    centre = float(y_n.mean())
    spread = max(float(y_n.std()), LEAST) if n >= ENOUGH else USUAL
    shape, scale = 1.0 + n / 2, 0.5 * spread**2  # one pseudo-observation of the spread
    value_Cn, vector_Cnn = np.linalg.eigh(kernel_Cmn[:, known] + 1.0)
    turned_Cn = (y_n - centre) @ vector_Cnn
    cross_Cmn = (kernel_Cmn + 1.0) @ vector_Cnn
    inverse_Ckn = 1 / (np.maximum(value_Cn, 0.0)[:, None, :] + noises_k[:, None])
    fit_Ck = scale + 0.5 * np.einsum("cn,ckn->ck", turned_Cn**2, inverse_Ckn)
    mean_Ckm = centre + (inverse_Ckn * turned_Cn[:, None, :]) @ cross_Cmn.transpose(0, 2, 1)
    known_Ckm = inverse_Ckn @ (cross_Cmn**2).transpose(0, 2, 1)
    # The variance at one model: the constant's, and the kernel's own, where there is one.
    own_C11 = np.where(kernel_Cmn.any(axis=(1, 2), keepdims=True), 2.0, 1.0)
    left_Ckm = np.maximum(own_C11 - known_Ckm, 0.0)
    sd_Ckm = np.sqrt(np.expand_dims(fit_Ck / shape, -1) * (left_Ckm + noises_k[:, None]))
    return mean_Ckm, sd_Ckm, 0.5 * np.log(inverse_Ckn).sum(-1) - shape * np.log(fit_Ck)


def ranked(columns: Sequence[Floats]) -> Floats:
    """Return features as ranks between 0 and 1, [m, F]; what is not known lies in the middle.

    Ranks, because alpha and RankMe of collapsed models lie far from all others'.
    """
    out = []
    for column in columns:
        known = ~np.isnan(column)
        place = np.full(len(column), 0.5)
        if known.sum() > 1:  # scipy's rankdata, at a tenth of its time on small arrays
            _, level, count = np.unique(column[known], return_inverse=True, return_counts=True)
            rank = np.cumsum(count) - (count + 1) / 2
            place[known] = rank[level] / (known.sum() - 1)
        out.append(place)
    return np.stack(out, axis=1) if out else np.zeros((0, 0))
