"""Studies whose trials have two processes each, and what is refused before they begin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.launch import launch
from sweep.launch.preflight import prepare
from sweep.launch.timed import time_steps
from sweep.tables.results import Results
from tests.pretraining.parallel.pair import EXAMPLES
from tests.small import small_study

MEMBERS = "tests.pretraining.parallel.members"
TWO = "resources.processes=2"
ON_CPU = "resources.gpu=0"


def study(*overrides: str) -> StudyConfig:
    """Return a study of one candidate."""
    return small_study("space.axes={seed=[0]}", "rule.name=all", ON_CPU, *overrides)


def rows(config: StudyConfig, results: Path) -> list[dict[str, Any]]:
    """Run a study; return its trials."""
    launch.run(config, results=results, warn=lambda sentence: None)
    trials: list[dict[str, Any]] = Results(results / "small").trials.to_pylist()
    return trials


def test_a_study_gives_the_table_of_one_process_and_charges_for_two_cores(tmp_path: Path) -> None:
    (one,) = rows(study(), tmp_path / "one")
    (two,) = rows(study(TWO), tmp_path / "two")
    same = ("trial_id", "status", "winner", "seed")
    assert [two[name] for name in same] == [one[name] for name in same]
    for name in ("loss", "alpha", "rankme", "accuracy", "test_accuracy"):
        assert two[name] == pytest.approx(one[name], rel=0.02)
    for row, cores in ((one, 1), (two, 2)):
        for part in ("pretrain", "measure", "probe", "test"):
            assert row[f"{part}_device_seconds"] == pytest.approx(cores * row[f"{part}_seconds"])


def test_a_rank_that_fails_is_a_failed_trial(tmp_path: Path) -> None:
    (row,) = rows(study(TWO, f"method.name={MEMBERS}:fails", "resources.retries=0"), tmp_path)
    assert row["status"] == "failed"
    assert "Rank 1 of the trial's 2 processes ended with code 1: ValueError" in row["reason"]
    log = (tmp_path / "small" / "trials" / row["trial_id"] / "log.txt").read_text("utf-8")
    assert "Rank 1 printed:" in log


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["train.batch=129"], r"train\.batch is 129, .* multiple of 2, for example 128 or 130\."),
        (["space.axes={'train.batch'=[64, 65]}"], r"train\.batch is 65, which does not divide"),
        (
            ["train.batch=4", "resources.processes=4", "train.sync_batch_norm=false"],
            r"each of 4 processes has one image.* Set train\.batch to 8 or more",
        ),
        ([f"method.name={MEMBERS}:unsplit"], r"does not declare that it may be split\. .*methods"),
        ([f"method.name={MEMBERS}:own_norm"], r"of the class OwnNorm, which sweep cannot"),
    ],
)
def test_what_cannot_be_split_is_refused(
    overrides: list[str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        launch.run(study(TWO, *overrides), results=tmp_path, warn=lambda sentence: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("no gather", r"but the (loss|gradient) of 32 images .* two processes share them\. Gath"),
        ("own draws", r"but the loss of 32 images is .* draw random numbers for the whole batch"),
        ("own gradient", r"but the (loss|gradient) of 32 images .* two processes share them"),
        ("uneven gathers", r"does not call batch\.gather equally often in each process"),
        ("too few", r"failed with half of a batch: IndexError: index 18 is out of bounds"),
    ],
)
def test_a_method_that_declares_what_does_not_hold_is_refused(fault: str, sentence: str) -> None:
    method = f"method={{name='{MEMBERS}:alone',fault='{fault}'}}"
    with pytest.raises(ConfigError, match=sentence):
        prepare(study(TWO, method))
    prepare(study(method))  # one process may run it


def test_what_cannot_be_split_is_not_refused_for_one_process() -> None:
    prepare(study("train.batch=129", f"method.name={MEMBERS}:unsplit"))


def test_the_examples_of_the_documentation_may_be_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    prepare(study(TWO, "method.name=masked:masked_prediction"))
    prepare(study(TWO, f"method.name={MEMBERS}:alone"))


def test_more_processes_than_cores_are_refused(tmp_path: Path) -> None:
    cores = os.cpu_count() or 1
    with pytest.raises(ConfigError, match=rf"64 processes, which need {64 * cores} cores and 0 G"):
        launch.run(
            study("resources.processes=64", f"resources.cpu={cores}"),
            results=tmp_path,
            warn=lambda sentence: None,
        )
    assert not list(tmp_path.iterdir())


def test_the_time_of_a_trial_is_that_of_its_steps_with_a_part_of_each_batch() -> None:
    prepared = prepare(study(TWO))
    (candidate,) = prepared.candidates
    assert prepared.data is not None
    timed = time_steps(candidate.config, prepared.data, "cpu", seconds=0.0, processes=2)
    assert timed.steps == prepared.sizes[candidate.trial_id].steps == 10
    assert timed.seconds > 0


def test_the_key_of_the_batch_norm_changes_no_id_unless_it_is_false() -> None:
    ids = [prepare(study(*keys)).candidates[0].trial_id for keys in ([], [TWO])]
    ids.append(prepare(study("train.sync_batch_norm=true")).candidates[0].trial_id)
    assert len(set(ids)) == 1
    other = prepare(study("train.sync_batch_norm=false")).candidates[0].trial_id
    assert other not in ids
