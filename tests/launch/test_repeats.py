from __future__ import annotations

import math

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import StudyError
from sweep.core.events import Event, Observed, SessionBegan, TrialStarted
from sweep.core.records import Cost, Observation, Stage
from sweep.launch.repeats import left, summary


def observed(seq: int, seconds: float, stage: Stage = "probed") -> Event:
    cost = Cost(wall_seconds=seconds, device_seconds=seconds)
    observation = Observation(stage=stage, step=1, cost=cost)
    return Observed(seq=seq, time=10.0 * seq, trial_id="t", observation=observation)


EVENTS: list[Event] = [
    SessionBegan(seq=0, time=0.0),
    TrialStarted(seq=1, time=1.0, trial_id="t", attempt=1),
    observed(2, 30.0, "trained"),
    observed(3, 10.0),
]


def test_what_is_left_of_a_budget_is_what_was_not_spent() -> None:
    limits = {"probes": 5, "trials": 3, "device_seconds": 100.0, "wall_seconds": 50.0}
    rest = left(StudyConfig.parse({"budget": limits}), EVENTS)
    assert (rest.probes, rest.trials) == (4, 2)
    assert (rest.device_seconds, rest.wall_seconds) == (60.0, 20.0)
    assert rest.money is None


def test_a_spent_budget_leaves_nothing_for_repeats() -> None:
    with pytest.raises(StudyError, match=r"budget\.device_seconds is spent"):
        left(StudyConfig.parse({"budget": {"device_seconds": 40.0}}), EVENTS)


def test_a_leaders_interval_is_students_over_its_seeds() -> None:
    row = summary([0.80, 0.83, 0.81])
    assert (row["seeds"], row["mean"]) == (3, pytest.approx(0.81333, abs=1e-5))
    assert row["sd"] == pytest.approx(math.sqrt(0.0007 / 3), abs=1e-12)
    half = 4.302653 * row["sd"] / math.sqrt(3)  # Student's t at 0.975, 2 degrees of freedom
    assert (row["lo"], row["hi"]) == pytest.approx((row["mean"] - half, row["mean"] + half))


def test_equal_accuracies_are_a_point_and_one_seed_has_no_interval() -> None:
    row = summary([0.958333] * 2)
    assert (row["mean"], row["sd"], row["lo"], row["hi"]) == (0.958333, 0.0, 0.958333, 0.958333)
    row = summary([0.5])
    assert (row["mean"], row["sd"], row["lo"], row["hi"]) == (0.5, None, None, None)
