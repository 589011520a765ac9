"""From axes to candidates."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sweep.config.space import candidates
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.pretraining.members import bind_trial


def space_of(axes: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    config = StudyConfig.parse({"space": {"axes": axes, **fields}})
    return [dict(candidate.point) for candidate in candidates(config, "data", bind_trial)]


def test_a_grid_holds_every_combination_once() -> None:
    points = space_of({"d": [2, 4], "lambd": [0.1, 0.2, 0.3]})
    assert sorted((p["d"], p["lambd"]) for p in points) == [
        (2, 0.1), (2, 0.2), (2, 0.3), (4, 0.1), (4, 0.2), (4, 0.3),
    ]  # fmt: skip


def test_a_log_range_is_even_in_the_logarithm() -> None:
    points = space_of({"lambd": {"low": 1e-4, "high": 1.0, "points": 5, "log": True}})
    assert sorted(p["lambd"] for p in points) == [1e-4, 1e-3, 1e-2, 0.1, 1.0]


def test_an_integer_range_is_rounded_and_its_equals_are_one_candidate() -> None:
    points = space_of({"d": {"low": 2, "high": 4, "points": 9, "integer": True}})
    assert sorted(p["d"] for p in points) == [2, 3, 4]


def test_lambda_times_d_is_an_axis() -> None:
    points = space_of({"d": [10, 100], "lambd_d": [2.0]})
    assert sorted((p["d"], p["lambd"]) for p in points) == [(10, 0.2), (100, 0.02)]


def test_any_field_may_vary() -> None:
    axes = {"lr": [1e-3, 2e-3], "seed": [0, 1], "encoder.width": [32, 64], "options.mine": ["a"]}
    config = StudyConfig.parse({"space": {"axes": axes}})
    found = candidates(config, "data", bind_trial)
    assert len(found) == 8
    assert {c.config.train.lr for c in found} == {1e-3, 2e-3}
    assert {c.config.seed for c in found} == {0, 1}
    assert {c.config.encoder.parameters["width"] for c in found} == {32, 64}
    assert {c.config.options["mine"] for c in found} == {"a"}


def test_an_option_may_lie_in_options_that_are_not_there_yet() -> None:
    config = StudyConfig.parse({"space": {"axes": {"options.a.b": [1]}}})
    assert [c.config.options for c in candidates(config, "data", bind_trial)] == [{"a": {"b": 1}}]


def test_a_random_draw_has_its_count_lies_within_and_is_the_seeds() -> None:
    axes = {"lambd": {"low": 1e-4, "high": 1.0, "log": True}, "d": [8, 16]}
    points = space_of(axes, draw="random", count=50)
    assert len(points) == 50
    assert all(1e-4 <= p["lambd"] <= 1.0 for p in points)
    middle = sum(math.log10(p["lambd"]) for p in points) / 50
    assert -2.6 < middle < -1.4
    assert points == space_of(axes, draw="random", count=50)


def test_the_order_is_random_and_the_seeds() -> None:
    axes = {"d": list(range(2, 34))}
    one = space_of(axes)
    assert one == space_of(axes)
    assert [p["d"] for p in one] != sorted(p["d"] for p in one)
    other = StudyConfig.parse({"seed": 1, "space": {"axes": axes}})
    assert [c.point["d"] for c in candidates(other, "data", bind_trial)] != [p["d"] for p in one]


def test_a_trials_name_follows_its_weights_and_nothing_else() -> None:
    def name(*overrides: str, data: str = "data") -> str:
        tree = {"data": {"name": "digits"}, "space": {"axes": {"d": [8]}}}
        config = StudyConfig.parse(tree, overrides)
        return candidates(config, data, bind_trial)[0].trial_id

    same = name()
    assert name("criteria.alpha.last=50") == same
    assert name("probe.name=knn") == same
    assert name("data.path=/elsewhere") == same
    assert name("data.download=true") == same
    assert name("resources.cpu=2") == same
    assert name("train.epochs=7") != same
    assert name("train.precision=float32") != same
    assert name("seed=1") != same
    assert name(data="other") != same


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({"dd": [1]}, r"The axis 'dd' is not known\. Did you mean 'd'\?"),
        ({"train.lrr": [1]}, r"The axis 'train\.lrr' is not known\. Did you mean 'train\.lr'\?"),
        ({"d": [0]}, r"impossible candidate \{'d': 0\}: method\.d is 0: input should be"),
        ({"lambd": [-1.0]}, r"impossible candidate \{'lambd': -1\.0\}: method\.lambd"),
        ({"lambd": {"low": 1, "high": 2}}, r"space\.axes\.lambd: a range in a grid needs points"),
        ({"lambd": [1.0], "lambd_d": [1.0]}, r"has lambd and lambd_d; keep one"),
        ({"lambd_d": ["x"]}, r"lambd_d needs numbers above 0"),
        ({"train.lr.x": [1]}, r"The axis 'train\.lr\.x': lr holds a value, not fields"),
        ({"options.x": [1e200]}, r"The space holds options\.x = 1e\+200, beyond 1e\+150"),
        (
            {"lambd": {"low": 1, "high": 2, "points": 10**9}},
            r"has 1,000,000,000 candidates, and the limit",
        ),
    ],
)
def test_an_impossible_space_is_a_sentence(axes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        space_of(axes)
