"""Half the width of 95 % intervals, over draws of half of the points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweep.replay.intervals import drawn_points, factor, margin, margins


def test_half_of_the_points_are_drawn_and_never_all() -> None:
    assert [drawn_points(points) for points in (1, 2, 3, 4, 64)] == [0, 1, 2, 2, 32]
    assert factor(64) == 1.0
    assert factor(3) == pytest.approx(math.sqrt(2))
    assert math.isnan(factor(1))


@pytest.mark.parametrize("points", [40, 41])
def test_for_a_mean_it_is_the_usual_interval(points: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=points)
    means = [
        float(rng.choice(values, drawn_points(points), replace=False).mean()) for _ in range(4000)
    ]
    usual = 1.96 * values.std(ddof=1) / math.sqrt(points)
    assert margin(means, factor(points)) == pytest.approx(usual, rel=0.05)


def test_draws_without_a_value_are_left_out_and_one_draw_is_not_enough() -> None:
    assert margin([1.0, math.nan, 3.0], 1.0) == pytest.approx(1.0)
    assert math.isnan(margin([1.0, math.nan], 1.0))
    assert np.isnan(margins(np.zeros((0, 3)), 1.0)).all()
    assert margins(np.zeros((0, 3)), 1.0).shape == (3,)
