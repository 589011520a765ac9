"""From measured times to a plan, without a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.config.study import StudyConfig
from sweep.config.text import toml
from sweep.core.errors import DataError, UserError
from sweep.planning.config_file import text_of
from sweep.planning.facts import Facts, Images, Timed
from sweep.planning.ladder import Rung, rungs
from sweep.planning.plan import (
    Plan,
    batch_of,
    check,
    chosen_rung,
    machine_of,
    plan,
    splits_of,
)

SMALL = Rung(encoder="small_conv", keys={"width": 32})
LARGE = Rung(encoder="resnet18", keys={"width": 32, "stem": "cifar"})

CIFAR10 = Images(
    pretrain=45_000,
    train=45_000,
    validation=5_000,
    test=10_000,
    drawn=True,
    classes=10,
    chance=0.1,
    smallest=(32, 32),
    largest=(32, 32),
    channels=3,
)


def facts(*, minutes: float = 10.0, step: float = 0.1, look: float = 8.0, **changes: Any) -> Facts:
    """Return facts about CIFAR-10 on two cores."""
    seconds = 60 * minutes
    given = Facts(
        images=CIFAR10,
        machine=machine_of(cores=2, gpus=0, seconds=seconds),
        seconds=seconds,
        elapsed=30.0,
        timed=Timed(rung=SMALL, step_seconds=step),
        look_seconds=look,
        batch=256,
    )
    return replace(given, **changes)


def study_of(planned: Plan, given: Facts) -> StudyConfig:
    """Return the config of the file that is written for a plan."""
    text = text_of(planned, given, name="photos", path=Path("photos"), overrides={})
    return StudyConfig.parse(toml(text), source="the plan")


@pytest.mark.parametrize("minutes", [5, 10, 30, 60, 600])
@pytest.mark.parametrize("step", [0.02, 0.1, 0.35])
@pytest.mark.parametrize("look", [1.0, 30.0])
def test_a_search_ends_in_its_time(minutes: float, step: float, look: float) -> None:
    given = facts(minutes=minutes, step=step, look=look)
    planned = plan(given)
    study = study_of(planned, given)
    assert planned.kind == "search"
    images = study.probe.data.limit if study.probe.data else study.data.limit
    part = 1.0 if images is None else (images + 5_000) / 50_000
    fraction = study.probe.at[0]
    steps = planned.steps * (1 + 7 * fraction)
    used = 30 + 20 + steps * step + 10 * look * part + 9
    if study.train.epochs < 1000:
        assert used == pytest.approx(60 * minutes, rel=0.15)


def test_the_first_round_keeps_a_model_for_each_worker() -> None:
    given = facts()
    study = study_of(plan(given), given)
    assert study.rule.name == "halving"
    assert len(study.space.points) == 16
    assert study.space.points[0]["lambd"] == 8 / 512
    assert study.rule.parameters["eta"] == 8
    assert study.probe.at == (1 / 32,)


def test_there_is_no_search_where_a_training_is_too_short_for_a_look() -> None:
    assert plan(facts(step=1.0)).kind == "search"
    planned = plan(facts(step=4.0))
    assert planned.kind == "whole"
    assert "too few to compare models" in planned.why


def test_fewer_images_are_used_where_the_time_allows_few_passes() -> None:
    given = facts(step=1.5)
    study = study_of(plan(given), given)
    assert study.train.epochs == 4
    assert study.data.limit is not None
    assert study.data.limit < 45_000
    assert study_of(plan(facts()), facts()).data.limit is None


def test_without_a_search_every_worker_trains_one_model_all_the_time() -> None:
    given = facts(step=4.0)
    planned = plan(given)
    study = study_of(planned, given)
    assert study.rule.name == "all"
    assert len(study.space.points) == 2
    assert planned.steps == pytest.approx(534 / 4, rel=0.15)


def test_the_plain_alternative_has_the_defaults_of_sweep() -> None:
    given = facts()
    study = study_of(plan(given, plain=True), given)
    assert study.method.parameters == {}
    assert study.augment == StudyConfig().augment
    assert study.train.lr == StudyConfig().train.lr


def test_without_labels_the_favoured_models_are_trained_to_the_end() -> None:
    images = replace(CIFAR10, classes=0, chance=None, train=0, validation=0, test=0)
    given = facts(images=images, look=0.0)
    planned = plan(given)
    study = study_of(planned, given)
    assert planned.kind == "unlabelled"
    assert study.rule.name == "none"
    assert len(study.space.points) == 2
    assert planned.steps * 0.1 == pytest.approx(planned.seconds, rel=0.2)


def test_slow_probes_read_fewer_labelled_images_of_the_same_splits() -> None:
    given = facts(look=30.0)
    study = study_of(plan(given), given)
    assert study.probe.data is not None
    limit = study.probe.data.limit
    assert limit is not None
    assert 1000 <= limit < 45_000
    assert study.probe.data.path == study.data.path
    assert study_of(plan(facts(look=1.0)), facts()).probe.data is None


def test_a_time_too_short_is_refused_with_one_that_is_long_enough() -> None:
    with pytest.raises(UserError, match=r"--minutes 0.6 is too short: .* Type --minutes 0.9"):
        plan(facts(minutes=0.6, look=1.0, step=0.1, elapsed=48.0))
    assert plan(facts(minutes=0.9, look=1.0, step=0.1, elapsed=48.0)).kind == "whole"


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"There are 150 images .* needs 200 or more"):
        check(replace(CIFAR10, pretrain=150))


def test_training_is_no_longer_than_what_is_published() -> None:
    given = facts(minutes=600, step=0.001)
    assert study_of(plan(given), given).train.epochs == 1000


@pytest.mark.parametrize(("images", "batch"), [(200, 16), (1_007, 64), (2_600, 256), (45_000, 256)])
def test_a_batch_leaves_ten_steps_in_an_epoch(images: int, batch: int) -> None:
    assert batch_of(replace(CIFAR10, pretrain=images)) == batch


def test_a_small_validation_split_is_enlarged_where_it_is_drawn() -> None:
    digits = replace(CIFAR10, train=1_294, validation=144)
    assert splits_of(digits) == {"validation": 0.3}
    assert splits_of(replace(digits, drawn=False)) == {}
    assert splits_of(CIFAR10) == {}
    assert splits_of(replace(digits, classes=0)) == {"validation": 0.02, "test": 0.02}


def test_the_largest_encoder_that_has_its_steps_is_chosen() -> None:
    timed = [Timed(rung=SMALL, step_seconds=0.01), Timed(rung=LARGE, step_seconds=0.1)]
    assert chosen_rung(timed, 390).rung == SMALL
    assert chosen_rung(timed, 410).rung == LARGE
    assert chosen_rung(timed, 1).rung == SMALL


def test_small_images_keep_their_size_and_others_are_reduced_to_what_they_have() -> None:
    assert {rung.side for rung in rungs((32, 32), (32, 32))} == {None}
    assert [rung.side for rung in rungs((300, 200), (500, 400))] == [32, 64, 64, 128, 224]
    assert [rung.side for rung in rungs((20, 90), (90, 90))] == [32, 64, 64]
    assert [rung.side for rung in rungs((8, 8), (90, 20))] == [32]
    assert {rung.side for rung in rungs((300, 200), (500, 400), side=100)} == {100}


def test_every_core_has_a_trial_unless_the_time_is_short() -> None:
    assert machine_of(cores=2, gpus=0, seconds=600).workers == 2
    assert machine_of(cores=8, gpus=4, seconds=600).workers == 4
    assert machine_of(cores=2, gpus=0, seconds=60).workers == 1


def test_every_key_of_the_file_has_a_comment_above_it() -> None:
    given = facts(look=30.0)
    text = text_of(
        plan(given), given, name="a b", path=Path('odd"name'), overrides={"label": "breed"}
    )
    lines = text.splitlines()
    keys = [n for n, line in enumerate(lines) if " = " in line and line[0] not in "# "][1:]
    assert all(lines[n - 1].startswith("# ") for n in keys)
    assert toml(text)["data"]["label"] == "breed"
    assert toml(text)["data"]["path"].endswith('odd"name')


def test_a_key_that_the_plan_sets_replaces_the_one_that_was_given() -> None:
    given = facts(step=1.5)
    text = text_of(plan(given), given, name="a", path=Path("a"), overrides={"limit": 44_000})
    assert toml(text)["data"]["limit"] < 44_000
