"""A worker holds its trial's folder until it leaves, fails or dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from sweep.config.study import TrialConfig
from sweep.core.records import Measure, Observation
from sweep.pretraining.context import Context
from sweep.runners import worker
from sweep.runners.trial_log import LOG
from sweep.runners.worker import LOCK, Worker
from tests.small import small_trial

ROOT = Path(__file__).parents[2]


def patient(config: TrialConfig, context: Context) -> Iterator[Observation]:
    yield Observation(stage="pretrain", step=1, fraction=0.5)
    raise ValueError("no further")


def open_worker(folder: Path, trial: str = "patient") -> Worker:
    config = small_trial().model_copy(update={"trial": f"tests.runners.test_worker:{trial}"})
    return Worker(config, Context(folder=folder))


def of_a_wrong_kind(config: TrialConfig, context: Context) -> Iterator[Any]:
    yield {"alpha": 1.0}


def of_an_unknown_stage(config: TrialConfig, context: Context) -> Iterator[Any]:
    yield Observation(stage="proven", step=1)  # type: ignore[arg-type]


def not_a_number(config: TrialConfig, context: Context) -> Iterator[Any]:
    yield Observation(stage="pretrain", step=1, detail={"gradient": float("nan")})


def beyond_all_sums(config: TrialConfig, context: Context) -> Iterator[Any]:
    loss = Measure(name="loss", value=1e200)
    yield Observation(stage="pretrain", step=1, measures=(loss,))


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ("of_a_wrong_kind", "A trial must yield sweep.Observation, not dict"),
        ("of_an_unknown_stage", "'proven' is not known. Did you mean 'probed'"),
        ("not_a_number", "not JSON compliant"),
        ("beyond_all_sums", r"measures\.0\.value is 1e\+200, but must be < 1e\+150"),
    ],
)
def test_what_the_log_cannot_take_is_the_trials_error(
    tmp_path: Path, trial: str, words: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        open_worker(tmp_path, trial).next()


def held(folder: Path) -> bool:
    try:
        with filelock.FileLock(folder / LOCK, timeout=0):
            return False
    except filelock.Timeout:
        return True


def test_two_workers_never_hold_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0.1)
    first = open_worker(tmp_path)
    with pytest.raises(TimeoutError, match="Another worker holds the lock of"):
        open_worker(tmp_path)
    first.close()
    open_worker(tmp_path).close()


def speaking(config: TrialConfig, context: Context) -> Iterator[Observation]:
    for step in (1, 2):
        print("hello")  # noqa: T201  # what people's training code does
        yield Observation(stage="pretrain", step=step, fraction=0.5)
    raise ValueError("no further")


@pytest.mark.parametrize("gone", [False, True])
def test_a_log_file_that_cannot_be_written_ends_no_trial(tmp_path: Path, gone: bool) -> None:
    folder = tmp_path / "trial"
    folder.mkdir()
    (folder / LOG).mkdir()
    at_work = open_worker(folder, "speaking")
    assert at_work.next() is not None
    if gone:
        folder.rename(tmp_path / "elsewhere")
    assert at_work.next() is not None
    with pytest.raises(ValueError, match="no further"):
        at_work.next()
    at_work.close()
    assert folder.exists() is not gone


def test_a_trial_that_fails_lets_its_folder_go(tmp_path: Path) -> None:
    failing = open_worker(tmp_path)
    failing.next()
    assert held(tmp_path)
    with pytest.raises(ValueError, match="no further"):
        failing.next()
    assert not held(tmp_path)


def test_a_folder_is_taken_from_a_worker_that_was_killed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.runners.test_worker import open_worker\n"
        f"worker = open_worker(Path({str(tmp_path)!r}))\n"
        "print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert held(tmp_path)
        other.kill()
        other.wait()
        open_worker(tmp_path).close()
