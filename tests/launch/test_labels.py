"""A study with a budget of labels: each probe is fitted and selected with so many labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.core.errors import ConfigError, DataError, StudyError
from sweep.core.events import Observed
from sweep.launch import launch
from sweep.launch.preflight import prepare
from sweep.launch.repeats import plan
from sweep.log.study_folder import read_log
from sweep.storage.location import locate
from tests.small import small_study

ALL = ("rule={name='all'}", "train.epochs=1", "space.axes.d=[8]")


def ids(*overrides: str) -> list[str]:
    return [candidate.trial_id for candidate in prepare(small_study(*overrides)).candidates]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("labels")
    launch.run(small_study(*ALL, "budget.labels=200"), results=results, warn=print)
    return results / "small"


def test_probes_use_so_many_labels_and_the_test_uses_all(folder: Path) -> None:
    observations = [e.observation for e in read_log(locate(folder)) if isinstance(e, Observed)]
    used = {
        measure.detail["images"] + measure.detail["train_images"]
        for observation in observations
        for measure in observation.measures
        if measure.name == "accuracy"
    }
    assert used == {200}
    tested = [m for o in observations for m in o.measures if m.name == "test_accuracy"]
    data = prepare(small_study(*ALL)).data
    assert data is not None
    assert {measure.detail["images"] for measure in tested} == {len(data.splits.test)}


def test_the_budget_names_no_other_trials() -> None:
    assert ids("budget.labels=200") == ids()


def test_a_resume_cannot_change_it_and_repeats_keep_it(folder: Path) -> None:
    for override in ("budget.labels=300", "budget={}"):
        with pytest.raises(StudyError, match=r"A resume cannot change budget\.labels \(200 to "):
            launch.resume(folder, overrides=[override])
    launch.resume(folder, overrides=["budget.probes=9"], warn=print)
    assert plan(locate(folder), top=1, seeds=1).budget.labels == 200


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"budget\.labels is 50, and there are 10 classes"):
        launch.run(small_study(*ALL, "budget.labels=50"), results=tmp_path)
    with pytest.raises(DataError, match=r"budget\.labels is 5000, and there are \d+ labelled"):
        launch.run(small_study(*ALL, "budget.labels=5000"), results=tmp_path)
    with pytest.raises(ConfigError, match=r"your own training code probes its models itself"):
        launch.run(
            small_study("trial=tests.launch.plugin_members:raising", "budget.labels=200"),
            results=tmp_path,
        )
    assert list(tmp_path.iterdir()) == []
