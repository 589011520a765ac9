"""GoldilocksScheduler in a user's own Tuner, on a real Ray, with plain PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray import tune

from sweep import GoldilocksScheduler
from tests.runners.ray import trainables

pytestmark = pytest.mark.usefixtures("ray_cluster")

WIDTHS = [2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32]


def fit(trainable: Any, scheduler: GoldilocksScheduler, path: Path) -> tune.ResultGrid:
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"d": tune.grid_search(WIDTHS)},
        tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(path), verbose=0),
    ).fit()


def metrics(results: tune.ResultGrid) -> list[dict[str, Any]]:
    return [results[number].metrics or {} for number in range(len(results))]


def probed(results: tune.ResultGrid) -> int:
    return sum("accuracy" in found for found in metrics(results))


@pytest.fixture(scope="module")
def checkpointed(
    ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[GoldilocksScheduler, tune.ResultGrid]:
    scheduler = GoldilocksScheduler(round=4, sync=True)
    path = tmp_path_factory.mktemp("checkpointed")
    return scheduler, fit(trainables.with_checkpoint, scheduler, path)


def test_a_function_that_checkpoints_is_paused_and_goes_on(
    checkpointed: tuple[GoldilocksScheduler, tune.ResultGrid],
) -> None:
    scheduler, results = checkpointed
    outcome = scheduler.outcome()
    assert results.num_errors == 0
    assert probed(results) == outcome.probes_paid
    assert 4 <= outcome.probes_paid < len(WIDTHS)
    assert outcome.probes_paid + outcome.probes_saved == len(WIDTHS)
    best = max(found["accuracy"] for found in metrics(results) if "accuracy" in found)
    assert outcome.accuracy == best


def test_a_paused_trial_is_not_pretrained_again(
    checkpointed: tuple[GoldilocksScheduler, tune.ResultGrid],
) -> None:
    _, results = checkpointed
    for number in range(len(results)):
        frame = results[number].metrics_dataframe
        if frame is not None and "pretrained" in frame:
            assert frame["pretrained"].sum() == 1


def test_a_trial_without_a_checkpoint_is_probed_instead_of_paused(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(round=4, sync=True)
    results = fit(trainables.without_checkpoint, scheduler, tmp_path)
    assert results.num_errors == 0
    assert probed(results) == scheduler.outcome().probes_paid


def test_a_class_with_a_last_result_that_says_done_is_heard(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(round=4, sync=True)
    results = fit(trainables.AsClass, scheduler, tmp_path)
    assert results.num_errors == 0
    assert scheduler.outcome().probes_paid == probed(results) >= 4


def test_results_with_neither_number_pass(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(round=4)
    results = fit(trainables.silent, scheduler, tmp_path)
    assert [found["training_iteration"] for found in metrics(results)] == [3] * len(WIDTHS)
    assert scheduler.outcome().winner is None


def test_a_failed_trial_does_not_hold_the_others(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(round=4, sync=True)
    results = fit(trainables.failing, scheduler, tmp_path)
    assert results.num_errors == sum(d % 2 for d in WIDTHS)
    assert scheduler.outcome().probes_paid >= 4


def test_a_round_below_four_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 4"):
        GoldilocksScheduler(round=3)
