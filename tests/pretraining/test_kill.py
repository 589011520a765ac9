"""A trial whose process is killed ends with the weights of a trial that was left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.core.records import Observation
from sweep.methods import METHODS
from sweep.pretraining import checkpoint
from sweep.pretraining.context import Context
from sweep.pretraining.trial import run_trial
from tests.pretraining.killed import STEP, trial_of


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each method, as a killed trial left it."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.pretraining.killed", str(folder)]
    subprocess.run(command, cwd=Path(__file__).parents[2], timeout=600, check=True)
    return folder


def measures(observations: list[Observation]) -> dict[tuple[str, int, str], float | None]:
    """Return what was measured, by stage, step and name."""
    return {
        (observation.stage, observation.step, measure.name): measure.value
        for observation in observations
        for measure in observation.measures
        if observation.stage != "pretrain"
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_trial_goes_on_to_the_same_bits(killed: Path, tmp_path: Path, method: str) -> None:
    folder = killed / method
    assert (folder / checkpoint.STATE).exists()
    assert not (folder / checkpoint.ENCODER).exists()
    config = trial_of(method)
    resumed = list(run_trial(config, Context(folder=folder, heartbeat_seconds=1e-6)))
    steps = [observation.step for observation in resumed if observation.stage == "pretrain"]
    assert steps == list(range(STEP, 19))  # the last checkpoint is that of the step before
    whole = list(run_trial(config, Context(folder=tmp_path)))
    assert measures(resumed) == measures(whole)
    encoders = [folder / checkpoint.ENCODER for folder in (folder, tmp_path)]
    assert encoders[0].read_bytes() == encoders[1].read_bytes()
