from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sweep.prediction.spread import MOST, balanced_sample, distant_model


def test_each_model_is_chosen_equally_often() -> None:
    """Also the outliers, and the members of a dense cluster."""
    rng = np.random.default_rng(0)
    x_mF = np.concatenate([rng.normal(0, 0.01, (10, 2)), rng.normal(0, 1, (10, 2))])
    times = np.zeros(20)
    for seed in range(2000):
        sample = balanced_sample(x_mF, 5, np.random.default_rng(seed))
        assert len(sample) == len(set(sample.tolist())) == 5
        times[sample] += 1
    assert times == pytest.approx(np.full(20, 500.0), abs=100)  # five standard errors


def test_a_sample_is_spread_better_than_a_random_one() -> None:
    rng = np.random.default_rng(1)
    x_mF = rng.random((60, 2))

    def farthest(sample: np.ndarray) -> float:
        return float(cdist(x_mF, x_mF[sample]).min(1).mean())

    ours = [farthest(balanced_sample(x_mF, 7, np.random.default_rng(s))) for s in range(50)]
    random = [farthest(rng.choice(60, 7, replace=False)) for _ in range(50)]
    assert np.mean(ours) < 0.93 * np.mean(random)


@pytest.mark.parametrize(("models", "count"), [(1, 1), (3, 3), (3, 7), (7, 1), (MOST + 500, 9)])
def test_as_many_models_are_chosen_as_were_asked_for(models: int, count: int) -> None:
    x_mF = np.random.default_rng(2).random((models, 3))
    sample = balanced_sample(x_mF, count, np.random.default_rng(0))
    assert len(sample) == min(models, count)
    assert sample.tolist() == sorted(set(sample.tolist()))


def test_models_without_features_are_sampled_at_random() -> None:
    sample = balanced_sample(np.zeros((9, 0)), 4, np.random.default_rng(0))
    assert len(sample) == 4


def test_a_distant_model_is_never_among_the_nearer_half() -> None:
    x_mF = np.arange(11.0)[:, None]
    taken, free = np.array([0]), np.arange(1, 11)
    seen = {distant_model(x_mF, taken, free, np.random.default_rng(s)) for s in range(200)}
    assert seen == {6, 7, 8, 9, 10}
