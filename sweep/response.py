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
from scipy.stats import rankdata

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
    parts: list[tuple[Floats, Floats, Floats]] = []
    names: list[str] = []
    for name, x_mF in sets.items():
        explains = x_mF.shape[1] > 0
        noises_k = np.array(NOISES if explains else NOISES[-1:])
        lengths = LENGTHS if explains else LENGTHS[:1]
        # Half of the prior says that nothing explains anything; the other sets share the
        # rest evenly, whatever their number of components.
        prior = -np.log((max(len(sets) - 1, 1) if explains else 1) * len(lengths) * len(noises_k))
        for length in lengths:
            mean_kM, sd_kM, score_k = _process(_kernel(x_mF, known, length), known, y_n, noises_k)
            parts.append((mean_kM, sd_kM, score_k + prior))
            names += [name] * len(noises_k)
    means, sds, scores = zip(*parts, strict=True)
    score_K = np.concatenate(scores)
    weight_K = np.exp(score_K - score_K.max())
    return Prediction(
        mean_KM=np.concatenate(means),
        sd_KM=np.concatenate(sds),
        weight_K=weight_K / weight_K.sum(),
        names=tuple(names),
    )


def _kernel(x_mF: Floats, known: npt.NDArray[np.int64], length: float) -> Floats:
    """Return the Matern 5/2 kernel between all models and the known ones; 0 without features."""
    if not x_mF.shape[1]:
        return np.zeros((len(x_mF), len(known)))
    square_mn = ((x_mF[:, None, :] - x_mF[known][None, :, :]) ** 2).sum(-1)
    root_mn = np.sqrt(5.0 * square_mn / x_mF.shape[1]) / length
    return np.asarray((1 + root_mn + root_mn**2 / 3) * np.exp(-root_mn))


def _process(
    kernel_mn: Floats, known: npt.NDArray[np.int64], y_n: Floats, noises_k: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return mean and standard deviation [k, m] and the log evidence [k], for k shares of noise.

    A constant of variance 1 stands beside the kernel, for the mean is not known either.
    """
    n, m = len(known), len(kernel_mn)
    centre = float(y_n.mean())
    spread = max(float(y_n.std()), LEAST) if n >= ENOUGH else USUAL
    shape, scale = 1.0 + n / 2, 0.5 * spread**2  # one pseudo-observation of the spread
    covariance = kernel_mn[known] + 1.0 + noises_k[:, None, None] * np.eye(n)
    lower = np.linalg.cholesky(covariance)
    both = np.concatenate([(y_n - centre)[:, None], (kernel_mn + 1.0).T], axis=1)
    solved = np.linalg.solve(lower, np.broadcast_to(both, (len(noises_k), n, 1 + m)))
    white_kn, cross_knm = solved[..., 0], solved[..., 1:]
    fit_k = scale + 0.5 * (white_kn**2).sum(1)
    log_det_k = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
    own = 1.0 + float(kernel_mn.any())  # the kernel's own variance, and the constant's
    left_km = np.maximum(own - (cross_knm**2).sum(1), 0.0)
    mean_km = centre + np.einsum("kn,knm->km", white_kn, cross_knm)
    variance_k = fit_k / shape
    sd_km = np.sqrt(variance_k[:, None] * (left_km + noises_k[:, None]))
    return mean_km, sd_km, -log_det_k - shape * np.log(fit_k)


def ranked(columns: Sequence[Floats]) -> Floats:
    """Return features as ranks between 0 and 1, [m, F]; what is not known lies in the middle.

    Ranks, because alpha and RankMe of collapsed models lie far from all others'.
    """
    out = []
    for column in columns:
        known = ~np.isnan(column)
        place = np.full(len(column), 0.5)
        if known.sum() > 1:
            place[known] = (rankdata(column[known]) - 1) / (known.sum() - 1)
        out.append(place)
    return np.stack(out, axis=1) if out else np.zeros((0, 0))
