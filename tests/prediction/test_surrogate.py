from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from sweep.core.history import History
from sweep.core.records import Cost
from sweep.log.log import MemoryLog
from sweep.prediction.surrogate import features, fields, scale, seconds, space
from sweep.rules.baselines import ProbeAll
from sweep.study import Study
from tests.histories import measured, probed


def history(points: Sequence[Mapping[str, float | str | bool]]) -> History:
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: 0.0)
    for number, point in enumerate(points):
        study.add(f"t{number}", point, {})
    return study.history


def test_before_a_candidate_is_trained_its_only_features_are_its_fields() -> None:
    known = history([{"d": 2.0**i, "lambd": 10.0**-i, "seed": i} for i in range(1, 5)])
    sets = fields(known, np.arange(4))
    assert list(sets) == ["nothing", "the varied fields", "lambda * d"]
    assert sets["nothing"].shape == (4, 0)
    assert sets["the varied fields"].shape == (4, 2)  # a seed is not an axis


def test_a_field_that_does_not_vary_is_not_a_feature() -> None:
    assert list(fields(history([{"d": 4.0}, {"d": 4.0}]), np.arange(2))) == ["nothing"]


def test_criteria_are_features_once_they_are_measured() -> None:
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: 0.0)
    for number in range(3):
        study.add(f"t{number}", {"d": float(number)}, {})
        study.start(f"t{number}")
        study.observe(f"t{number}", measured(1.0 + number))
    rows = np.arange(3)
    assert list(features(study.history, rows, everything=False)) == ["nothing", "alpha"]
    assert "alpha and the varied fields" in features(study.history, rows)


def test_each_feature_stands_alone_and_all_stand_together() -> None:
    known = all_measured([{"d": float(i), "epochs": float(i % 2)} for i in range(4)])
    sets = features(known, np.arange(4))
    together = "alpha and the varied fields"
    assert {"nothing", "alpha", "d", "epochs", "the varied fields", together} == sets.keys()
    assert sets[together].shape == (4, 3)
    assert space(known, np.arange(4)).tolist() == sets[together].tolist()
    assert space(known, np.arange(4), everything=False).shape == (4, 1)


def test_two_names_are_as_far_apart_as_the_ends_of_a_number() -> None:
    names = ["simclr", "byol", "simclr", "diet", "byol", "diet"]
    known = history([{"method": name, "d": float(i)} for i, name in enumerate(names)])
    x_mF = fields(known, np.arange(6))["the varied fields"]
    assert x_mF.shape == (6, 4)
    square = ((x_mF[:, None] - x_mF[None]) ** 2).sum(-1) / 4  # as `predict` takes it
    assert square[0, 2] == pytest.approx((2 / 5) ** 2 / 2)  # of two features, d differs
    assert square[0, 5] == pytest.approx((1 + 1) / 2)


def test_names_that_no_models_share_and_truth_values_twice_are_not_features() -> None:
    known = history([{"path": f"m{i}", "flip": i > 2, "d": float(i)} for i in range(6)])
    assert fields(known, np.arange(6))["the varied fields"].shape == (6, 2)


def test_a_number_that_only_probed_models_have_is_not_a_feature() -> None:
    points: list[dict[str, float]] = [{"d": float(i)} for i in range(6)]
    points[0] |= {"top5": 0.5}
    points[1] |= {"top5": 0.9}
    study_history = all_measured(points, probed_models=2)
    sets = features(study_history, np.arange(6))
    assert "top5" not in sets
    assert sets.keys() == {"nothing", "alpha", "the varied fields", "alpha and the varied fields"}
    assert space(study_history, np.arange(6)).shape == (6, 2)  # no column that a history adds


def all_measured(points: Sequence[Mapping[str, float]], *, probed_models: int = 0) -> History:
    """A history of measured models, of which the first few are probed."""
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: 0.0)
    for number, point in enumerate(points):
        study.add(f"t{number}", point, {})
        study.start(f"t{number}")
        cost = Cost(wall_seconds=1.0, device_seconds=1.0 + number)
        study.observe(f"t{number}", replace(measured(1.0 + number % 3), cost=cost))
        if number < probed_models:
            cost = Cost(wall_seconds=1.0, device_seconds=1.0 + number)
            study.observe(f"t{number}", replace(probed(0.5 + number / 100), cost=cost))
    return study.history


def test_seconds_grow_with_the_field_that_makes_a_candidate_costly() -> None:
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: 0.0)
    points = [{"d": 2.0**i, "lambd": 10.0 ** -(i % 3)} for i in range(4, 12)]
    for number, point in enumerate(points):
        study.add(f"t{number}", point, {})
    assert seconds(study.history, np.arange(8)).tolist() == [1.0] * 8
    for number in (0, 2, 3, 5, 7):
        study.start(f"t{number}")
        cost = Cost(wall_seconds=1.0, device_seconds=points[number]["d"] ** 0.5)
        study.observe(f"t{number}", measured(1.0))
        study.observe(f"t{number}", replace(probed(0.5), cost=cost))
    guess = seconds(study.history, np.array([1, 6]))
    assert guess[0] == pytest.approx(2**2.5, rel=0.3)
    assert guess[1] == pytest.approx(2**5, rel=0.3)


def test_a_wide_field_is_scaled_in_its_logarithm_and_an_unknown_value_becomes_one_half() -> None:
    column = np.array([1e-4, 1e-2, np.nan, 1.0])
    assert scale(column, column).tolist() == pytest.approx([0.0, 0.5, 0.5, 1.0])
    assert scale(np.array([1.0, 2.0, 3.0]), np.array([2.0])).tolist() == [0.5]
