"""The joint model of candidates and fractions: against a dense process, and on planted tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import multivariate_t

from sweep.prediction.joint import CONSTANTS, Belief, Constants, believe, evidence, matern, warped

Floats = npt.NDArray[np.float64]
FRACTIONS = (0.1, 0.5, 1.0)
DRAWS = np.random.default_rng(7).standard_normal((256, 6))
X = np.random.default_rng(0).uniform(0, 2, (6, 2))
SEEDS = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
FLAT = replace(CONSTANTS, warp=1e9)
"""Constants under which points are not warped."""


def points(*seen: tuple[int, int, float]) -> Floats:
    table = np.full((6, 3), np.nan)
    for row, look, value in seen:
        table[row, look] = value
    return table


SEEN = points((0, 0, 30), (1, 0, 33), (2, 0, 31), (1, 1, 38), (1, 2, 41), (2, 1, 36.5))


def believed(table: Floats, *, library: tuple[Constants, ...] = (FLAT,), **keys: Floats) -> Belief:
    return believe(table, FRACTIONS, X, SEEDS, priors=keys, draws_SH=DRAWS, library=library)


def dense(constants: Constants) -> tuple[Floats, Floats, Floats]:
    """Return the covariance of all (candidate, look) pairs, its mean's part included, [18, 18]."""
    alike = matern(X, X)
    same = (SEEDS[:, None] == SEEDS[None, :]).astype(float)
    level = constants.shape**2 * alike + constants.trial**2 * np.eye(6) + constants.seed**2 * same
    walk = constants.shape_walk**2 * alike + constants.trial_walk**2 * np.eye(6)
    walk += constants.seed**2 * same
    length = (-np.log10(np.array(FRACTIONS))) ** constants.power
    least = np.minimum(length[:, None], length[None, :])
    steps = np.zeros((3, 3))  # the looks' means: the end, and steps back from it
    for i in range(3):
        for j in range(3):
            steps[i, j] = constants.level**2 + constants.step**2 * min(2 - i, 2 - j)
    return (
        np.kron(level, np.ones((3, 3))) + np.kron(walk, least) + np.kron(np.ones((6, 6)), steps),
        level,
        walk,
    )


def test_the_expected_accuracies_are_those_of_a_dense_process() -> None:
    covariance, _, _ = dense(FLAT)
    seen = np.flatnonzero(~np.isnan(SEEN.ravel()))
    y = SEEN.ravel()[seen]
    noisy = covariance[np.ix_(seen, seen)] + FLAT.look**2 * np.eye(len(seen))
    ends = np.arange(2, 18, 3)
    expected = y.mean() + covariance[np.ix_(ends, seen)] @ np.linalg.solve(noisy, y - y.mean())
    expected[1] = 41  # it is known
    assert believed(SEEN).mean_H == pytest.approx(expected, abs=1e-6)


def test_the_evidence_is_that_of_a_multivariate_t() -> None:
    wide = replace(FLAT, trial=4.0, step=2.0, freedom=3.0)
    narrow = replace(FLAT, trial=1.0, shape=2.0, freedom=3.0)
    seen = np.flatnonzero(~np.isnan(SEEN.ravel()))
    y = SEEN.ravel()[seen]
    expected = []
    for constants in (wide, narrow):
        covariance = dense(constants)[0][np.ix_(seen, seen)] + constants.look**2 * np.eye(len(seen))
        expected.append(multivariate_t(np.full(len(y), y.mean()), covariance, df=3).logpdf(y))
    ours = [evidence(SEEN, FRACTIONS, X, SEEDS, constants) for constants in (wide, narrow)]
    assert ours[0] - ours[1] == pytest.approx(expected[0] - expected[1], abs=1e-6)


def test_without_observations_every_candidate_may_be_the_best() -> None:
    belief = believed(points())
    assert belief.left == np.inf
    assert belief.chance_H.sum() == pytest.approx(1.0)
    assert belief.chance_H.min() > 0.02


def test_a_candidate_that_leads_at_a_look_is_likeliest_and_one_far_behind_is_ruled_out() -> None:
    belief = believed(points((0, 1, 40), (1, 1, 20), (2, 1, 39.9), (3, 1, 21), (4, 1, 20)))
    assert belief.chance_H[[0, 2, 5]].sum() > 0.9, "candidate 5 is not known"
    assert belief.chance_H[[1, 3, 4]].max() < 0.05


def test_nothing_is_left_to_gain_once_all_are_at_their_end() -> None:
    table = np.column_stack([np.full((6, 2), np.nan), np.arange(40.0, 46.0)])
    belief = believed(table)
    assert belief.left == pytest.approx(0.0, abs=1e-9)
    assert belief.chance_H.tolist() == [0, 0, 0, 0, 0, 1]


def test_a_good_prior_curve_gains_weight_and_a_reversed_one_is_turned_round() -> None:
    truth = 5 * np.sin(3 * X[:, 0]) + 40
    table = np.column_stack([np.full(6, np.nan), truth - 3, np.full(6, np.nan)])
    table[4:] = np.nan
    curve = np.tile(truth[:, None], (1, 3))
    good = believed(table, good=curve)
    assert good.weights["good"] > 0.6
    assert abs(good.mean_H[5] - good.mean_H[0] - (truth[5] - truth[0])) < 1.5
    wrong = believed(table, wrong=-curve)
    none = believed(table)
    assert wrong.weights["wrong"] < 0.5
    assert np.corrcoef(wrong.mean_H[:4], none.mean_H[:4])[0, 1] > 0.95


def test_the_library_is_weighed_by_evidence() -> None:
    calm, wild = (
        replace(FLAT, trial=0.1, trial_walk=0.1),
        replace(FLAT, trial=30.0, trial_walk=30.0),
    )
    both = believed(SEEN, library=(calm, wild))
    one = believed(SEEN, library=(calm,))
    assert both.mean_H == pytest.approx(one.mean_H, abs=1.0)


def test_a_distance_is_made_smaller_and_counts_half_at_the_warp() -> None:
    table = np.array([[50.0], [30.0], [29.9], [np.nan]])
    out = warped(table, 20.0)
    assert out[0, 0] == 50.0
    assert (out[1, 0] - out[2, 0]) == pytest.approx(0.05, abs=1e-3)
    assert np.isnan(out[3, 0])
    assert table[1, 0] == 30.0, "the argument is not changed"


def test_a_table_with_one_accuracy_over_and_over_has_a_belief() -> None:
    belief = believed(np.full((6, 3), 40.0))
    assert np.isfinite(belief.mean_H).all()
    assert belief.left == pytest.approx(0.0, abs=1e-9)
