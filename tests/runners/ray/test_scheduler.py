"""GoldilocksScheduler in a user's own Tuner, on a real Ray, with plain PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field
from ray import tune

from sweep import GoldilocksScheduler
from sweep.core.errors import ConfigError
from sweep.rules import Rule
from sweep.rules.baselines import ProbeRandom
from sweep.rules.goldilocks import Goldilocks
from sweep.rules.paper import Paper
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
    scheduler = GoldilocksScheduler(rule="paper", round=4, sync=True)
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
    scheduler = GoldilocksScheduler(rule="paper", round=4, sync=True)
    results = fit(trainables.without_checkpoint, scheduler, tmp_path)
    assert results.num_errors == 0
    assert probed(results) == scheduler.outcome().probes_paid


def test_a_class_with_a_last_result_that_says_done_is_heard(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="paper", round=4, sync=True)
    results = fit(trainables.AsClass, scheduler, tmp_path)
    assert results.num_errors == 0
    assert scheduler.outcome().probes_paid == probed(results) >= 4


def test_results_with_neither_number_pass(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(round=4)
    results = fit(trainables.silent, scheduler, tmp_path)
    assert [found["training_iteration"] for found in metrics(results)] == [3] * len(WIDTHS)
    assert scheduler.outcome().winner is None


def test_a_failed_trial_does_not_hold_the_others(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="paper", round=4, sync=True)
    results = fit(trainables.failing, scheduler, tmp_path)
    assert results.num_errors == sum(d % 2 for d in WIDTHS)
    assert scheduler.outcome().probes_paid >= 4


@pytest.mark.parametrize(
    "rule",
    ["goldilocks", "paper", Paper(round=4), f"{__name__}:first_few"],
    ids=["goldilocks", "paper", "object", "plug-in"],
)
def test_any_rule_decides_which_trials_are_probed(rule: str | Rule, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"round": 4} if isinstance(rule, str) and ":" not in rule else {}
    scheduler = GoldilocksScheduler(rule=rule, **keys)
    results = fit(trainables.with_checkpoint, scheduler, tmp_path)
    outcome = scheduler.outcome()
    assert results.num_errors == 0
    assert probed(results) == outcome.probes_paid
    assert outcome.probes_paid + outcome.probes_saved == len(WIDTHS)
    assert outcome.probes_paid == 3 if rule == f"{__name__}:first_few" else outcome.probes_paid >= 4


def first_few(*, probes: Annotated[int, Field(gt=0)] = 3) -> Rule:
    """Return a rule of one's own."""
    return ProbeRandom(probes=probes)


def rule_of(scheduler: GoldilocksScheduler) -> Rule:
    return scheduler._study.rule  # no public name shows it


def test_the_default_rule_is_goldilocks() -> None:
    assert rule_of(GoldilocksScheduler()) == Goldilocks(eager=False)
    assert rule_of(GoldilocksScheduler(round=4)) == Goldilocks(round=4, eager=False)
    assert rule_of(GoldilocksScheduler(rule="paper", round=4)) == Paper(round=4)
    assert rule_of(GoldilocksScheduler(rule=f"{__name__}:first_few", probes=5)) == ProbeRandom(
        probes=5
    )


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"round": 3}, r"rule\.round is 3: input should be greater than or equal to 4"),
        ({"sync": True}, r"rule\.sync is no key of goldilocks\. .*Keys of goldilocks: batch, "),
        ({"rule": "papr"}, r"The rule 'papr' is not known\. Did you mean 'paper'\?"),
        (
            {"rule": Paper(), "round": 4},
            r"round: keys belong to a rule that is named; give them to",
        ),
        ({"rule": f"{__name__}:nothing"}, r"has no 'nothing'"),
        ({"rule": f"{__name__}:first_few", "probes": 0}, r"rule\.probes is 0: input should be gr"),
    ],
)
def test_a_rule_that_cannot_be_is_a_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        GoldilocksScheduler(**keys)
