"""Two processes that share every batch give the training of one process, in float64."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pretraining.parallel.pair import (
    APART,
    CASES,
    EXAMPLES,
    HALFWAY,
    LAYERS,
    config_of,
    images,
    in_double,
    layer_of,
    normalised,
    seen,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the two processes saw."""
    folder = tmp_path_factory.mktemp("pair")
    command = [sys.executable, "-m", "tests.pretraining.parallel.pair", str(folder)]
    processes = [subprocess.Popen([*command, str(rank)], cwd=ROOT) for rank in range(2)]
    try:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@functools.cache
def alone(case: str) -> dict[str, Any]:
    """Return what one process sees."""
    config = config_of(case)
    return seen(in_double(config), config)


def close(one: Any, other: Any, tolerance: float) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_loss_the_gradients_and_the_weights_of_one(
    pair: list[dict[str, Any]], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    tolerance = 1e-4 if case == "masked" else 1e-8  # the example computes its loss in float32
    expected = alone(case)
    assert {status for _, status in expected["losses"]} == {"ok"}
    for own in pair:
        assert [status for _, status in own[case]["losses"]] == ["ok"] * 15
        for (loss, _), (whole, _) in zip(own[case]["losses"], expected["losses"], strict=True):
            assert loss == pytest.approx(whole, rel=tolerance)
        assert own[case]["parts"] == pytest.approx(expected["parts"], rel=max(1e-6, tolerance))
        close(own[case]["gradients"], expected["gradients"], tolerance)
        close(own[case]["weights"], expected["weights"], tolerance)


@pytest.mark.parametrize("case", [*CASES, "resumed"])
def test_both_processes_have_the_same_weights_bit_for_bit(
    pair: list[dict[str, Any]], case: str
) -> None:
    one, other = (own[case]["weights"] for own in pair)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_with_a_batch_norm_of_its_own_each_process_trains_another_model(
    pair: list[dict[str, Any]],
) -> None:
    expected = alone("barlow_twins")
    assert alone(APART)["losses"] == expected["losses"]  # the key does nothing with one process
    assert pair[0][APART]["losses"] == pair[1][APART]["losses"]
    assert pair[0][APART]["losses"][0][0] != pytest.approx(expected["losses"][0][0], rel=1e-3)


def test_a_state_of_two_processes_goes_on_with_one(pair: list[dict[str, Any]]) -> None:
    config = config_of("barlow_twins")
    run = in_double(config)
    run.load_state_dict(pair[0]["state"])
    assert run.step == HALFWAY
    rest, whole = seen(run, config), alone("barlow_twins")
    assert len(rest["losses"]) == 15 - HALFWAY
    close(rest["weights"], whole["weights"], 1e-8)
    assert rest["parts"] == pytest.approx(whole["parts"], rel=1e-6)


def test_a_state_of_one_process_goes_on_with_two(pair: list[dict[str, Any]]) -> None:
    whole = alone("barlow_twins")
    assert len(pair[0]["resumed"]["losses"]) == 15 - HALFWAY
    close(pair[0]["resumed"]["weights"], whole["weights"], 1e-8)


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_norm_over_uneven_parts_is_that_of_the_whole_batch(
    pair: list[dict[str, Any]], name: str
) -> None:
    expected = normalised(layer_of(name), images())
    for key in ("y", "grad"):
        close(torch.cat([own[name][key] for own in pair]), expected[key], 1e-9)
    for own in pair:
        close(own[name]["state"], expected["state"], 1e-9)
