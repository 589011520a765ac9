"""The response: the accuracy that is expected of models which were not probed, with its noise.

Gaussian processes are fitted to several sets of label-free features (alpha alone, RankMe alone,
the varied fields, ...), each with several length scales and noise variances. The processes are
averaged. Either weights are marginal likelihoods, or a process weighs as much as it predicts each
known accuracy from the others (leave-one-out predictive probability). Either way, a feature which
explains nothing gets almost no weight. The held-out predictions also say whether the average is
better than the mean of the other accuracies (`Prediction.skill`), and widen its standard
deviations if they are too small. Numpy and `scipy.special` only.
Shapes: m models, n of them with a known accuracy, F features each, K components of the average,
C kernels, k noise variances, L length scales.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

LENGTH_SCALES = (0.3, 0.6, 1.2)
"""Length scales of the kernel, as parts of a feature's whole range. Our own choice: the smallest
fits several humps, the largest is nearly a line."""
NOISE_VARIANCES = (0.03, 0.1, 0.3, 1.0)
"""Variance that the features leave unexplained, relative to the variance of the response. It is
never 0, because the best model is often better than its neighbours in alpha."""
_NOISE_k1 = np.array(NOISE_VARIANCES)[:, None]
SMALLEST_WEIGHT = 1e-4
"""Components with a smaller part of the largest weight are left out: with 10,000 models and many
feature sets they would take most of the time and memory."""

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
        skill: the share of the squared error of the mean of the other accuracies that the mixture
            explains, when each known accuracy is predicted from the others. At most 1; 0 or less
            if the features predict no better than the mean.
            NaN unless the prediction was made with `held_out`.
    """

    mean_KM: Floats
    sd_KM: Floats
    weight_K: Floats
    names: tuple[str, ...]
    skill: float

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


def predict(
    sets: Mapping[str, Floats], known: Rows, y_n: Floats, *, held_out: bool = False
) -> Prediction:
    """Return the predicted accuracy of every model, given the accuracies of a few.

    Args:
        sets: name -> features [m, F] of all models, as `ranked` returns them. A set with F = 0
            stands for a response that no feature explains.
        known: rows of the models whose accuracy is known, [n], n at least 1.
        y_n: the accuracies of these models, as parts of 1, [n].
        held_out: if true, a process weighs as much as it predicts each accuracy from the others,
            which chooses better among many feature sets; and standard deviations are widened. If
            false, weights are marginal likelihoods, whose probabilities are better for few sets.

    Source: Rasmussen and Williams 2006, equations 2.25, 2.26 and 5.10 to 5.12; the variance of
    the response is integrated out under an inverse-gamma prior.
    """
    processes = [
        (name, x_mF, scale)
        for name, x_mF in sets.items()
        for scale in (LENGTH_SCALES if x_mF.shape[1] else LENGTH_SCALES[:1])
    ]
    kernel_Cnn = np.stack([_kernel(x_mF[known], x_mF[known], s) for _, x_mF, s in processes])
    fit = _Fit.of(kernel_Cnn, y_n)
    log_prior_Ck = _prior(sets, [name for name, _, _ in processes])
    score_Ck = log_prior_Ck + (fit.log_held_out_Ckn.sum(-1) if held_out else fit.log_marginal_Ck)
    weight_Ck = np.exp(score_Ck - score_Ck.max())
    weight_Ck[weight_Ck < SMALLEST_WEIGHT] = 0.0
    means, sds, weights, names = [], [], [], []
    for process in np.flatnonzero(weight_Ck.any(axis=1)):
        name, x_mF, scale = processes[process]
        mean_km, sd_km = fit.predicted(int(process), _kernel(x_mF, x_mF[known], scale))
        means.append(mean_km)
        sds.append(sd_km)
        weights.append(weight_Ck[process])
        names += [name] * len(NOISE_VARIANCES)
    weight_K = np.concatenate(weights)
    positive_K = weight_K > 0
    skill, widening = fit.held_out(score_Ck) if held_out else (float("nan"), 1.0)
    return Prediction(
        mean_KM=np.concatenate(means)[positive_K],
        sd_KM=widening * np.concatenate(sds)[positive_K],
        weight_K=weight_K[positive_K] / weight_K.sum(),
        names=tuple(itertools.compress(names, positive_K)),
        skill=skill,
    )


def _prior(sets: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """Return the log prior of each process and noise variance, [C, k].

    Half of the prior belongs to the set without features. The other sets share the other half
    evenly, whatever their number of components. The set without features has one noise only.
    """
    others = max(1, sum(x_mF.shape[1] > 0 for x_mF in sets.values()))
    log_prior_Ck = np.zeros((len(names), len(NOISE_VARIANCES)))
    for row, name in enumerate(names):
        if sets[name].shape[1]:
            log_prior_Ck[row] = -np.log(others * len(LENGTH_SCALES) * len(NOISE_VARIANCES))
        else:
            log_prior_Ck[row, :-1] = -np.inf
    return log_prior_Ck


def _kernel(x_aF: Floats, x_bF: Floats, scale: float) -> Floats:
    """Return the Matern 5/2 kernel between two sets of models, [a, b]; all 0 without features."""
    if not x_aF.shape[1]:
        return np.zeros((len(x_aF), len(x_bF)))
    square_ab = ((x_aF[:, None, :] - x_bF[None, :, :]) ** 2).sum(-1)
    root_ab = np.sqrt(5.0 * square_ab / x_aF.shape[1]) / scale
    return np.asarray((1 + root_ab + root_ab**2 / 3) * np.exp(-root_ab))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fit:
    """C kernels with k noise variances each, fitted to n accuracies.

    One eigendecomposition per kernel serves all noise variances. A constant kernel of variance 1
    is added to each, because the mean is not known either.

    Args:
        centre: mean of the accuracies.
        z_n: the accuracies minus `centre`.
        vector_Cnn, rotated_Cn: eigenvectors, and `z_n` in their directions.
        inverse_Ckn: 1 / (eigenvalue + noise variance).
        variance_Ck: the expected variance of the response, the factor of kernel and noise.
        log_marginal_Ck: log marginal likelihood; a constant is left out.
        residual_Ckn: each accuracy minus its prediction from the others.
        spread_Ckn: standard deviation of that prediction.
        log_held_out_Ckn: log density of each accuracy, predicted from the others; a constant is
            left out.
    """

    centre: float
    z_n: Floats
    vector_Cnn: Floats
    rotated_Cn: Floats
    inverse_Ckn: Floats
    variance_Ck: Floats
    log_marginal_Ck: Floats
    residual_Ckn: Floats
    spread_Ckn: Floats
    log_held_out_Ckn: Floats

    @classmethod
    def of(cls, kernel_Cnn: Floats, y_n: Floats) -> _Fit:
        n = len(y_n)
        spread = max(float(y_n.std()), MIN_SPREAD) if n >= MIN_KNOWN else PRIOR_SPREAD
        scale = 0.5 * spread**2  # one pseudo-observation of the spread
        z_n = y_n - y_n.mean()
        value_Cn, vector_Cnn = np.linalg.eigh(kernel_Cnn + 1.0)
        rotated_Cn = z_n @ vector_Cnn
        inverse_Ckn = 1 / (np.maximum(value_Cn, 0.0)[:, None, :] + _NOISE_k1)
        square_Ck = np.einsum("cn,ckn->ck", rotated_Cn**2, inverse_Ckn)
        # Leave one out: row i of the inverse kernel holds all that the others say about i.
        solved_Ckn = (inverse_Ckn * rotated_Cn[:, None, :]) @ vector_Cnn.transpose(0, 2, 1)
        precision_Ckn = inverse_Ckn @ (vector_Cnn**2).transpose(0, 2, 1)
        residual_Ckn = solved_Ckn / precision_Ckn
        square_Ckn = square_Ck[:, :, None] - solved_Ckn * residual_Ckn  # without accuracy i
        freedom = n + 1.0
        spread2_Ckn = (2 * scale + square_Ckn) / freedom / precision_Ckn
        surprise_Ckn = np.log1p(residual_Ckn**2 / (freedom * spread2_Ckn))
        return cls(
            centre=float(y_n.mean()),
            z_n=z_n,
            vector_Cnn=vector_Cnn,
            rotated_Cn=rotated_Cn,
            inverse_Ckn=inverse_Ckn,
            variance_Ck=(scale + 0.5 * square_Ck) / (0.5 * freedom + 0.5),
            log_marginal_Ck=0.5 * np.log(inverse_Ckn).sum(-1)
            - (0.5 * freedom + 0.5) * np.log(scale + 0.5 * square_Ck),
            residual_Ckn=residual_Ckn,
            spread_Ckn=np.sqrt(spread2_Ckn),
            log_held_out_Ckn=-0.5 * np.log(spread2_Ckn) - 0.5 * (freedom + 1) * surprise_Ckn,
        )

    def predicted(self, process: int, kernel_mn: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of all models, [k, m], by one of the C kernels."""
        vector_nn, inverse_kn = self.vector_Cnn[process], self.inverse_Ckn[process]
        cross_mn = (kernel_mn + 1.0) @ vector_nn
        mean_km = self.centre + (inverse_kn * self.rotated_Cn[process]) @ cross_mn.T
        # The prior variance of one model: 1 of the constant, and 1 of the kernel unless it is 0.
        prior = 2.0 if kernel_mn.any() else 1.0
        unexplained_km = np.maximum(prior - inverse_kn @ (cross_mn**2).T, 0.0)
        variance_k1 = self.variance_Ck[process][:, None]
        return mean_km, np.sqrt(variance_k1 * (unexplained_km + _NOISE_k1))

    def held_out(self, score_Ck: Floats) -> tuple[float, float]:
        """Return how well the mixture predicts each accuracy from the others.

        The weights for accuracy i do not include how well accuracy i was predicted.

        Args:
            score_Ck: log prior plus log probability of all n held-out accuracies.

        Returns:
            The skill, and the factor, 1 or more, by which the standard deviations are too small.
        """
        n = len(self.z_n)
        if n < MIN_KNOWN:
            return 0.0, 1.0
        score_Ckn = score_Ck[:, :, None] - self.log_held_out_Ckn
        weight_Ckn = np.exp(score_Ckn - score_Ckn.max(axis=(0, 1)))
        weight_Ckn /= weight_Ckn.sum(axis=(0, 1))
        residual_n = (weight_Ckn * self.residual_Ckn).sum(axis=(0, 1))
        square_Ckn = self.spread_Ckn**2 + (self.residual_Ckn - residual_n) ** 2
        variance_n = (weight_Ckn * square_Ckn).sum(axis=(0, 1))
        # Without features, a prediction is the mean of the others, shrunk a little to `centre`.
        plain_n = self.z_n * (n + 1) / n
        squares = float((plain_n**2).sum())
        skill = 1 - float((residual_n**2).sum()) / squares if squares > 0 else 0.0
        return skill, max(1.0, float(np.sqrt((residual_n**2 / variance_n).mean())))


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
