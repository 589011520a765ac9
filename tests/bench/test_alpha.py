"""The bench of alpha, small: the object's fields, and that its error is measured."""

from __future__ import annotations

import json

import pytest

from sweep.bench import BENCHES, alpha, load
from sweep.bench.timing import Timing, in_turn
from sweep.core.errors import ConfigError


def test_the_figure_is_one_json_object_with_its_error() -> None:
    figure = alpha.run(repeats=2, images=300, dim=64, batch=90, first=4, last=40)
    found = json.loads(figure.to_json())
    assert found["name"] == "alpha"
    assert found["unit"] == "s"
    assert found["ratio"] == pytest.approx(found["value"] / found["baseline"])
    assert found["spread"]["value"][0] <= found["value"] <= found["spread"]["value"][1]
    assert found["spread"]["baseline"][0] <= found["baseline"] <= found["spread"]["baseline"][1]
    assert found["repeats"] == 2
    assert found["device"].startswith("cpu, ")
    assert found["processor"]
    assert {"python", "torch", "numpy", "scikit-learn"} <= set(found["versions"])
    assert 0 < found["max_error"] < 1e-4
    assert "bf16_ceiling_fraction" not in found


def test_medians_are_written_as_seconds_or_as_images_per_second() -> None:
    timing = Timing(ours=(2.0, 1.0, 4.0), baseline=(8.0, 10.0, 9.0))
    figure = timing.figure("x", device="cpu")
    assert (figure.value, figure.baseline, figure.ratio) == (2.0, 9.0, 2 / 9)
    assert figure.spread == {"value": (1.0, 4.0), "baseline": (8.0, 10.0)}
    rate = timing.figure("x", device="cpu", items=72)
    assert (rate.value, rate.baseline, rate.ratio, rate.unit) == (36.0, 8.0, 4.5, "images/s")
    assert rate.spread == {"value": (18.0, 72.0), "baseline": (7.2, 9.0)}


def test_the_two_ways_run_in_turn_after_one_warm_up_of_each() -> None:
    calls: list[str] = []

    timing = in_turn(
        lambda: calls.append("ours"), lambda: calls.append("plain"), repeats=3, device="cpu"
    )
    assert calls == ["ours", "plain"] * 4
    assert len(timing.ours) == len(timing.baseline) == 3
    with pytest.raises(ValueError, match="repeats is 0, but must be >= 1"):
        in_turn(list, list, repeats=0, device="cpu")


def test_a_bench_is_found_by_name_and_a_wrong_name_lists_them() -> None:
    assert load("alpha") is alpha.run
    with pytest.raises(ConfigError, match=r"'alhpa' is not known. Did you mean 'alpha'\?"):
        load("alhpa")
    for name in BENCHES:
        assert callable(load(name))
