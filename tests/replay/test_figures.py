"""Figures of many orders, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweep.replay.accounting import Grid, Moment, Played
from sweep.replay.figures import FIGURES, SHARES, first_known, mean_curve, spent_until

GRID = Grid(
    pretrain_seconds=100.0, device_seconds=200.0, wall_seconds=50.0, reserved_per_second=5.0
)


def order(worst: float, *curve: tuple[float, float]) -> Played:
    """An order that knows models of a regret from device-seconds on; a quarter is pretraining."""
    moments = tuple(
        Moment(
            regret=regret,
            pretrain_seconds=spent / 4,
            device_seconds=spent,
            wall_seconds=spent / 5,
            probes=number,
        )
        for number, (spent, regret) in enumerate(curve, start=1)
    )
    return Played(
        regret=curve[-1][1] if curve else worst,
        test_regret=math.nan,
        probes=len(curve),
        probe_seconds=10.0,
        measure_seconds=5.0,
        pretrain_seconds=25.0,
        wall_seconds=10.0,
        grid=GRID,
        within=0.01,
        worst=worst,
        curve=moments,
    )


TWO = [order(0.2, (20, 0.1), (60, 0.0)), order(0.4, (40, 0.02), (100, 0.01))]


def test_the_curve_is_the_mean_over_orders_from_the_worst_model_on() -> None:
    budgets = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 1.0])
    assert mean_curve(TWO, "device", budgets) == pytest.approx([30, 25, 6, 1, 0.5, 0.5])
    assert mean_curve(TWO, "pretrain", budgets / 2) == pytest.approx([30, 25, 6, 1, 0.5, 0.5])
    assert mean_curve(TWO, "probes", np.array([0, 1, 2])) == pytest.approx([30, 6, 0.5])
    assert mean_curve([order(0.3)], "wall", budgets) == pytest.approx([30] * 6)


def test_a_bound_is_reached_where_the_mean_falls_to_it() -> None:
    assert spent_until(TWO, "device", 6.0) == pytest.approx(0.2)
    assert spent_until(TWO, "device", 0.5) == pytest.approx(0.5)
    assert spent_until(TWO, "wall", 0.5) == pytest.approx(0.4)
    assert math.isnan(spent_until(TWO, "device", 0.4))
    assert spent_until(TWO, "device", 30.0) == 0.0


def test_the_first_model_of_any_order_counts() -> None:
    assert first_known(TWO, "device") == pytest.approx(0.1)
    assert first_known([order(0.3)], "device") == math.inf


def test_shares_at_the_end_have_pretraining_alone_and_with_looks_and_probes() -> None:
    assert FIGURES["pretrain_fraction"](TWO) == pytest.approx(0.25)
    assert FIGURES["device_seconds_fraction"](TWO) == pytest.approx(0.2)
    assert FIGURES["wall_fraction"](TWO) == pytest.approx(0.2)
    assert FIGURES["reserved_fraction"](TWO) == pytest.approx(0.25)
    assert FIGURES["to_half_a_point"](TWO) == pytest.approx(0.5)
    assert FIGURES["pretrain_to_half_a_point"](TWO) == pytest.approx(0.25)


def test_at_most_200_shares_are_read_off() -> None:
    assert len(SHARES) == 200
    assert (SHARES[0], SHARES[-1]) == (0.005, 1.0)
