"""A Gaussian process over candidates and fractions of training: who may still become the best.

The accuracies at early looks and at the end of training are one joint process. Two candidates are
alike where their varied fields are alike. A trial's deviation from its neighbours persists over
its looks, and what changes between a look and the end is a random walk in L = (-log10 t)^p, where t
is the fraction of training, so that L = 0 at the end. The model is fitted under a small library of
hyperparameters, with and without prior curves of earlier studies, and the members of the library
are averaged with weights by their evidence. A prior curve has a factor of its own, about 1, so
that one that is wrong is scaled down or turned round. Pure numpy.

Source of the parts: Swersky, Snoek, Adams 2014 (freeze-thaw: processes over curves, and when to go
on with a paused one); Rasmussen and Williams 2006, section 2.7 (unknown means by generalised least
squares). The constants were fitted to complete tables; `experiments/landscapes/README.md` says how.
Shapes: H candidates, F features, T looks (the last is the end of training), n observations, B
basis functions, S draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag, cho_solve, solve_triangular

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Constants:
    """The constants of the process; standard deviations are in warped points.

    Args:
        shape, shape_walk: what candidates with like fields share, at the end and of the walk.
        trial, trial_walk: what a trial has of its own, at the end and of the walk.
        seed: what trials of one seed share, at the end and of the walk.
        look: the error of one look.
        power: p in L = (-log10 t)^p.
        step, level: of the mean's change from look to look, and of its level at the end.
        freedom: prior degrees of freedom of a factor of all these, which is 1 a priori.
        warp: points below the best at which a difference counts half; see `warped`.
        prior_part: factor of `shape` and `shape_walk` where a prior curve explains a part of them.
        prior_factor: standard deviation of a prior curve's factor about 1.
    """

    shape: float = 6.2
    shape_walk: float = 3.0
    trial: float = 1.3
    trial_walk: float = 1.7
    seed: float = 0.24
    look: float = 0.38
    power: float = 1.8
    step: float = 5.0
    level: float = 10.0
    freedom: float = 1.0
    warp: float = 20.0
    prior_part: float = 0.6
    prior_factor: float = 0.5


CONSTANTS = Constants()
TRIAL_SCALES = (0.3, 1.0, 2.5)
"""What a trial has of its own differs that much between tables."""
LIGHTEST = 0.02
"""Members of the library with a smaller weight are left out of the average."""


def library(constants: Constants = CONSTANTS) -> tuple[Constants, ...]:
    """Return the sets of constants that are averaged."""
    return tuple(
        replace(constants, trial=s * constants.trial, trial_walk=s * constants.trial_walk)
        for s in TRIAL_SCALES
    )


LIBRARY = library()


@dataclass(frozen=True, kw_only=True, slots=True)
class Belief:
    """What is known of the accuracies at the end of training.

    Args:
        mean_H: expected, in warped points.
        chance_H: probability that the candidate is the best of all.
        left: the expected gain over the best known accuracy at the end, in points, if everything
            were trained to the end; infinite where no such accuracy is known.
        weights: share of the evidence of each prior curve; "" is the share of none.
    """

    mean_H: Floats
    chance_H: Floats
    left: float
    weights: dict[str, float]


def warped(points_HT: Floats, warp: float = CONSTANTS.warp) -> Floats:
    """Return accuracies in points with large distances from each look's best made smaller.

    y -> b - w ln(1 + (b - y) / w), where b is the best at that look and w is `warp`, so that
    collapsed models do not rule the fit. NaN stays NaN.
    """
    out_HT = points_HT.copy()
    for column in out_HT.T:
        seen = ~np.isnan(column)
        if seen.any():
            best = column[seen].max()
            column[seen] = best - warp * np.log1p((best - column[seen]) / warp)
    return out_HT


def believe(
    points_HT: Floats,
    fractions: Sequence[float],
    x_HF: Floats,
    seeds_H: Floats,
    *,
    priors: dict[str, Floats],
    draws_SH: Floats,
    library: Sequence[Constants] = LIBRARY,
) -> Belief:
    """Fit the process to what was seen, and draw the accuracies at the end.

    Args:
        points_HT: accuracies in points, [H, T], NaN where there is none; the last column is the
            end of training.
        fractions: of training, T of them, ascending, the last 1.
        x_HF: features, each divided by its length scale.
        seeds_H: the seed of each candidate, NaN where it has none.
        priors: name -> prior curves, [H, T], in warped points.
        draws_SH: standard normal numbers, the same in each call of a study.
        library: the sets of constants that are averaged.

    Returns:
        The belief. Without any observation, the members of the library weigh the same.
    """
    y_HT = warped(points_HT, library[0].warp)
    rows, looks = np.nonzero(~np.isnan(y_HT))
    y_n = y_HT[rows, looks]
    same_HH = (seeds_H[:, None] == seeds_H[None, :]).astype(np.float64)
    alike_HH = matern(x_HF, x_HF)
    fit = partial(_member, y_n, rows, looks, np.asarray(fractions))
    members = [
        fit(constants, alike_HH, same_HH, name=name, curve_HT=curve_HT)
        for constants, (name, curve_HT) in itertools.product(library, [("", None), *priors.items()])
    ]
    evidence = np.array([member.evidence for member in members])
    prior = np.array([0.5 if not member.name else 0.5 / len(priors) for member in members])
    if not priors:
        prior[:] = 1.0
    weight = prior * np.exp(evidence - evidence.max())
    weight /= weight.sum()
    kept = [int(i) for i in np.argsort(-weight, kind="stable") if weight[i] >= LIGHTEST]
    share = weight[kept] / weight[kept].sum()
    done_H = ~np.isnan(y_HT[:, -1])
    # Each member gets its share of the draws, in the order of the draws.
    ends = np.round(np.cumsum(share) * len(draws_SH)).astype(int)
    mean_H = np.zeros(len(y_HT))
    drawn_SH = np.empty_like(draws_SH)
    start = 0
    for member, part, end in zip((members[i] for i in kept), share, ends, strict=True):
        member_mean_H, root_HH = member.at_end()
        mean_H += part * member_mean_H
        if end > start:
            drawn_SH[start:end] = member_mean_H + draws_SH[start:end] @ root_HH.T
        start = end
    drawn_SH[:, done_H] = y_HT[done_H, -1]
    mean_H[done_H] = y_HT[done_H, -1]
    chance_H = np.bincount(drawn_SH.argmax(1), minlength=len(y_HT)) / len(drawn_SH)
    left = np.inf
    if done_H.any():
        left = float(drawn_SH.max(1).mean() - y_HT[done_H, -1].max())
    weights: dict[str, float] = {}
    for member, value in zip(members, weight, strict=True):
        weights[member.name] = weights.get(member.name, 0.0) + float(value)
    return Belief(mean_H=mean_H, chance_H=chance_H, left=left, weights=weights)


def evidence(
    points_HT: Floats,
    fractions: Sequence[float],
    x_HF: Floats,
    seeds_H: Floats,
    constants: Constants,
) -> float:
    """Return the log evidence of a table for a set of constants, but for a constant of the table.

    The arguments are those of `believe`.
    """
    y_HT = warped(points_HT, constants.warp)
    rows, looks = np.nonzero(~np.isnan(y_HT))
    alike_HH = matern(x_HF, x_HF)
    same_HH = (seeds_H[:, None] == seeds_H[None, :]).astype(np.float64)
    member = _member(
        y_HT[rows, looks],
        rows,
        looks,
        np.asarray(fractions),
        constants,
        alike_HH,
        same_HH,
        name="",
        curve_HT=None,
    )
    return member.evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class _Member:
    """One set of hyperparameters, fitted.

    Args:
        name: of the prior curve, "" for none.
        evidence: logarithm of the probability of what was seen, but for a constant.
        level_HH: the covariance at the end, a priori.
        rows: the candidate of each observation, [n].
        root_nn: the root of the covariance of the observations.
        residual_n: what the basis leaves unexplained, divided by that root.
        offset_H: what the mean at the end has beside the basis.
        basis_nB, basis_HB: of the observations, divided by their root, and of the end.
        factor_B, root_BB: the basis functions' factors, and the root of their information.
        variance: the scale of all covariances.
    """

    name: str
    evidence: float
    level_HH: Floats
    rows: Integers
    root_nn: Floats
    residual_n: Floats
    offset_H: Floats
    basis_nB: Floats
    basis_HB: Floats
    factor_B: Floats
    root_BB: Floats
    variance: float

    def at_end(self) -> tuple[Floats, Floats]:
        """Return the mean [H] and a root [H, H] of the covariance at the end of training."""
        # L = 0 at the end, so that the walk adds nothing to the covariance with it.
        gain_nH = _solve(self.root_nn, self.level_HH[self.rows])
        unsure_BH = _solve(self.root_BB, (self.basis_HB - gain_nH.T @ self.basis_nB).T)
        mean_H = self.offset_H + self.basis_HB @ self.factor_B + gain_nH.T @ self.residual_n
        covariance_HH = self.level_HH - gain_nH.T @ gain_nH + unsure_BH.T @ unsure_BH
        covariance_HH *= self.variance
        covariance_HH[np.diag_indices_from(covariance_HH)] += 1e-4
        return mean_H, _root(covariance_HH)


def _member(
    y_n: Floats,
    rows: Integers,
    looks: Integers,
    fractions_T: Floats,
    constants: Constants,
    alike_HH: Floats,
    same_HH: Floats,
    *,
    name: str,
    curve_HT: Floats | None,
) -> _Member:
    """Fit one member of the library; see `believe`."""
    shrink = 1.0 if curve_HT is None else constants.prior_part
    walk_T = np.power(-np.log10(fractions_T), constants.power)
    level_HH, walk_HH = _level_and_walk(constants, alike_HH, same_HH, shrink)
    pairs = np.ix_(rows, rows)
    k_nn = level_HH[pairs]
    k_nn += np.minimum(walk_T[looks][:, None], walk_T[looks][None, :]) * walk_HH[pairs]
    k_nn[np.diag_indices_from(k_nn)] += constants.look**2
    root_nn = _root(k_nn)
    # The basis: the mean of each look, and the prior curve's factor beyond 1.
    basis_nB = (looks[:, None] == np.arange(len(walk_T))[None, :]).astype(np.float64)
    basis_HB = np.tile(np.arange(len(walk_T)) == len(walk_T) - 1, (len(alike_HH), 1)).astype(float)
    precision_BB = _look_precision(len(walk_T), constants)
    target_n, offset_H = y_n, np.zeros(len(alike_HH))
    if curve_HT is not None:
        target_n, offset_H = y_n - curve_HT[rows, looks], curve_HT[:, -1]
        basis_nB = np.column_stack([basis_nB, curve_HT[rows, looks]])
        basis_HB = np.column_stack([basis_HB, curve_HT[:, -1]])
        precision_BB = block_diag(precision_BB, constants.prior_factor**-2)
    centre = float(target_n.mean()) if len(target_n) else 0.0
    whitened = _solve(root_nn, np.column_stack([target_n - centre, basis_nB]))
    target_n, basis_nB = whitened[:, 0], whitened[:, 1:]
    root_BB = _root(basis_nB.T @ basis_nB + precision_BB)
    factor_B = cho_solve((root_BB, True), basis_nB.T @ target_n)
    residual_n = target_n - basis_nB @ factor_B
    square = constants.freedom + float(residual_n @ residual_n + factor_B @ precision_BB @ factor_B)
    n = len(y_n)
    evidence = (
        0.5 * float(np.linalg.slogdet(precision_BB)[1])
        - float(np.log(np.diag(root_nn)).sum())
        - float(np.log(np.diag(root_BB)).sum())
        - 0.5 * (constants.freedom + n) * np.log(square)
    )
    return _Member(
        name=name,
        evidence=evidence,
        level_HH=level_HH,
        rows=rows,
        root_nn=root_nn,
        residual_n=residual_n,
        offset_H=centre + offset_H,
        basis_nB=basis_nB,
        basis_HB=basis_HB,
        factor_B=factor_B,
        root_BB=root_BB,
        variance=square / (constants.freedom + n),
    )


def _level_and_walk(
    constants: Constants, alike_HH: Floats, same_HH: Floats, shrink: float
) -> tuple[Floats, Floats]:
    """Return the covariances [H, H] of the candidates at the end, and of their walk for L = 1."""
    diagonal = np.diag_indices_from(alike_HH)
    level_HH = (shrink * constants.shape) ** 2 * alike_HH + constants.seed**2 * same_HH
    level_HH[diagonal] += constants.trial**2
    walk_HH = (shrink * constants.shape_walk) ** 2 * alike_HH + constants.seed**2 * same_HH
    walk_HH[diagonal] += constants.trial_walk**2
    return level_HH, walk_HH


def _look_precision(looks: int, constants: Constants) -> Floats:
    """Return the precision [T, T] of the looks' means: N(0, level^2) at the end, and steps."""
    precision = np.zeros((looks, looks))
    precision[-1, -1] = constants.level**-2
    for i in range(looks - 1):
        precision[i : i + 2, i : i + 2] += constants.step**-2 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return precision


def matern(x_HF: Floats, x_GF: Floats) -> Floats:
    """Return the Matern 5/2 kernel of unit length between two sets of candidates, [H, G]."""
    square_HG = (x_HF**2).sum(1)[:, None] + (x_GF**2).sum(1)[None, :] - 2 * x_HF @ x_GF.T
    root_HG = np.sqrt(5.0 * np.maximum(square_HG, 0.0))
    return np.asarray((1 + root_HG + root_HG**2 / 3) * np.exp(-root_HG))


def _root(matrix: Floats) -> Floats:
    """Return the lower Cholesky factor, with as much added to the diagonal as it takes."""
    jitter = 0.0
    while True:
        try:
            return np.asarray(np.linalg.cholesky(matrix + jitter * np.eye(len(matrix))))
        except np.linalg.LinAlgError:
            jitter = max(1e-8, 10 * jitter) * float(np.abs(np.diag(matrix)).max())


def _solve(root: Floats, right: Floats) -> Floats:
    """Return L^-1 R for a lower triangular L."""
    return np.asarray(solve_triangular(root, right, lower=True, check_finite=False))
