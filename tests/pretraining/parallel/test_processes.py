"""A trial with two processes: its numbers, its failures, and that no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from sweep.config.study import TrialConfig
from sweep.core.errors import ConfigError
from sweep.core.failures import Failure
from sweep.core.records import Observation
from sweep.methods import METHODS
from sweep.methods.base import is_parallel
from sweep.pretraining.checkpoint import ENCODER, STATE
from sweep.pretraining.context import Context
from sweep.pretraining.parallel.processes import BOOT, RankEnded
from sweep.pretraining.trial import run_trial
from tests.methods.batches import built
from tests.pretraining.parallel import members
from tests.processes import MARK, descendants_with, end_group, marked, wait_for_end_of_all
from tests.small import small_trial

ROOT = Path(__file__).parents[3]
MEMBERS = "tests.pretraining.parallel.members"


def two(folder: Path) -> Context:
    """Return a context of two processes that reports and saves after each step."""
    return Context(folder=folder, processes=2, heartbeat_seconds=1e-6, checkpoint_seconds=1e-6)


def trial_of(name: str) -> TrialConfig:
    """Return the trial of a method in `members`."""
    return small_trial(f"method.name={MEMBERS}:{name}", "space.axes={seed=[0]}")


def values(observations: list[Observation]) -> dict[tuple[str, str], float | None]:
    """Return the measures at the end of training."""
    return {
        (observation.stage, measure.name): measure.value
        for observation in observations
        for measure in observation.measures
        if observation.fraction == 1.0 and observation.stage != "pretrain"
    }


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """After the test, no rank of this process is left, and no group."""
    yield
    assert not descendants_with(BOOT)
    assert not dist.is_initialized()


@pytest.mark.usefixtures("no_process_left")
def test_a_killed_rank_fails_the_attempt_and_one_process_goes_on(tmp_path: Path) -> None:
    config = small_trial()
    trial = run_trial(config, two(tmp_path / "two"))
    first = [next(trial) for _ in range(3)]
    assert [observation.step for observation in first] == [1, 2, 3]
    (other,) = descendants_with(BOOT)
    other.send_signal(signal.SIGKILL)
    with pytest.raises(RankEnded, match=r"Rank 1 of the trial's 2 processes was killed by sig.* 9"):
        list(trial)
    assert (tmp_path / "two" / STATE).exists()
    rest = list(run_trial(config, Context(folder=tmp_path / "two", heartbeat_seconds=1e-6)))
    assert rest[0].step > 2
    alone = list(run_trial(config, Context(folder=tmp_path / "one")))
    assert values(rest) == pytest.approx(values(alone), rel=0.02)
    assert {stage for stage, _ in values(alone)} == {"trained", "measured", "probed"}


@pytest.mark.usefixtures("no_process_left")
def test_a_trial_with_two_processes_resumes_and_gives_the_numbers_of_one(tmp_path: Path) -> None:
    config = small_trial("criteria.at=[0.5]", "train.precision=auto")
    trial = run_trial(config, two(tmp_path / "two"))
    stages = []
    for observation in trial:
        stages.append(observation.stage)
        if observation.stage == "measured":
            break
    trial.close()  # as when a rule lets the trial wait
    assert not descendants_with(BOOT)
    rest = list(run_trial(config, two(tmp_path / "two")))
    alone = list(run_trial(config, Context(folder=tmp_path / "one")))
    assert values(rest) == pytest.approx(values(alone), rel=0.05)
    assert [o.stage for o in rest if o.stage != "pretrain"] == [
        *("measured", "trained", "measured", "probed")
    ]
    assert (tmp_path / "two" / ENCODER).exists()


@pytest.mark.usefixtures("no_process_left")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fails", r"Rank 1 .* ended with code 1: ValueError: the second process had enough"),
        ("cannot_start", r"Rank 1 .* ended with code 1: .*nothing can be built in this process"),
    ],
)
def test_a_rank_that_ends_fails_the_attempt_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    with pytest.raises(RankEnded, match=sentence) as raised:
        list(run_trial(trial_of(name), two(tmp_path)))
    assert Failure.of(raised.value).cause == "exception"
    assert "Rank 1 printed:\nTraceback" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.usefixtures("no_process_left")
def test_two_gpus_give_the_numbers_of_one(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    contexts = [Context(folder=f, device="cuda", processes=n) for n, f in enumerate(folders, 1)]
    one, two_gpus = (values(list(run_trial(small_trial(), context))) for context in contexts)
    assert two_gpus == pytest.approx(one, rel=0.05)


def test_the_ranks_of_a_killed_trial_end_with_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from tests.pretraining.parallel.test_processes import run_trial, small_trial, two\n"
        f"context = two(Path({str(tmp_path)!r}))\n"
        "for observation in run_trial(small_trial('train.epochs=1000'), context):\n"
        "    print(observation.step, flush=True)\n"
    )
    mark = str(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert len(marked(mark)) == 2
        process.kill()
        wait_for_end_of_all(mark, 30)
    finally:
        end_group(process)
        process.stdout.close()  # type: ignore[union-attr]  # a pipe


def test_a_method_declares_for_its_own_forward_that_it_may_be_split(tmp_path: Path) -> None:
    assert all(is_parallel(built(name)) for name in METHODS)
    layer = nn.Identity()
    assert is_parallel(members.Features(layer))
    assert is_parallel(members.Fails(layer))
    assert not is_parallel(members.Unsplit(layer))
    assert not is_parallel(layer)
    with pytest.raises(ConfigError, match=r"unsplit' does not declare .* `parallel = True`"):
        list(run_trial(trial_of("unsplit"), two(tmp_path)))


def test_a_process_that_uses_torch_distributed_itself_is_told(tmp_path: Path) -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]  # exported where torch has it
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        with pytest.raises(ConfigError, match=r"uses torch\.distributed already"):
            list(run_trial(small_trial(), two(tmp_path)))
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()
