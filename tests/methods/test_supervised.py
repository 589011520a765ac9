"""A method that uses labels: a plug-in, trained on the labelled split."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import DataError
from sweep.core.records import Observation
from sweep.launch.estimate import estimate
from sweep.launch.preflight import prepare
from sweep.pretraining.context import Context
from sweep.pretraining.trial import run_trial
from sweep.runners.devices import Devices

HERE = "tests.methods.supervised"


def study(*overrides: str) -> StudyConfig:
    tree = {
        "data": {"name": f"{HERE}:shades"},
        "encoder": {"name": "tests.tiny:layer"},
        "method": {"name": f"{HERE}:supervised"},
        "augment": {"flip": 0.0, "crop_min": 1.0, "jitter": 0.0},
        "train": {"epochs": 20, "batch": 10, "lr": 0.01, "precision": "float32"},
        "criteria": {"names": ["rankme"]},
        "space": {"axes": {"seed": [0, 1]}},
        "rule": {"name": "none"},
    }
    return StudyConfig.parse(tree, overrides)


def observed(config: StudyConfig, folder: Path) -> list[Observation]:
    trial = prepare(config).candidates[0].config
    return list(run_trial(trial, Context(folder=folder, heartbeat_seconds=1e-6)))


def last(observations: list[Observation], name: str) -> float:
    values = [m.value for o in observations for m in o.measures if m.name == name]
    assert values[-1] is not None
    return values[-1]


@pytest.mark.parametrize(("pretrain", "train"), [(96, 40), (12, 40), (40, 40)])
def test_it_trains_on_the_labelled_split_with_the_labels_of_the_images(
    tmp_path: Path, pretrain: int, train: int
) -> None:
    observations = observed(study(f"data.pretrain={pretrain}", f"data.train={train}"), tmp_path)
    trained = next(o for o in observations if o.stage == "trained")
    assert trained.step == 20 * (train // 10)
    assert last(observations, "train_accuracy") > 0.9
    assert last(observations, "accuracy") > 0.5


def test_preflight_compares_the_batch_with_the_labelled_split() -> None:
    prepare(study("data.pretrain=40", "data.train=12", "train.batch=12"))
    with pytest.raises(DataError, match=r"There are 12 images .* fewer than a batch of 13"):
        prepare(study("data.pretrain=40", "data.train=12", "train.batch=13"))


def test_data_without_labels_are_refused_in_preflight_and_in_the_trial(tmp_path: Path) -> None:
    sentence = (
        rf"The method '{HERE}:supervised' is trained with labels, and the train split has none\. "
        r"Give labelled images with data\.path, or choose a method that needs no labels: "
        r"barlow_twins, byol, "
    )
    with pytest.raises(DataError, match=sentence):
        prepare(study("data.labelled=false"))
    trial = prepare(study()).candidates[0].config
    unlabelled = trial.data.with_parameters({**trial.data.parameters, "labelled": False})
    with pytest.raises(DataError, match=sentence):
        list(run_trial(trial.model_copy(update={"data": unlabelled}), Context(folder=tmp_path)))


def test_its_time_is_estimated_with_labels() -> None:
    times = estimate(prepare(study()), Devices(cpu=1, gpu=0.0, parallel=1))
    assert times is not None
    assert times.trial_seconds[1] > 0
