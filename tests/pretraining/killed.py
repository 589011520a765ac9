"""Trials whose processes kill themselves with SIGKILL: no handler runs, and nothing is closed.

    python -m tests.pretraining.killed FOLDER

One process imports torch and forks for each method, because the import takes longer than a trial.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from sweep.config.study import TrialConfig
from sweep.methods import METHODS
from sweep.pretraining.context import Context
from sweep.pretraining.trial import run_trial
from tests.runs import small_method
from tests.small import small_trial

STEP = 8
"""The step after which a trial dies; each step before it was saved."""


def trial_of(method: str) -> TrialConfig:
    """Return a trial of 18 steps, which is looked at after steps 4 and 14."""
    keys = [f"method.{key}={value}" for key, value in small_method(method).items()]
    return small_trial(
        "data.limit=200",
        "train.batch=32",
        "train.epochs=3",
        "criteria.at=[0.25, 0.75]",
        "space.axes={seed=[0, 1]}",
        *keys,
    )


def run_until_killed(method: str, folder: Path) -> None:
    """Run a trial and die when `STEP` is reported."""
    context = Context(folder=folder, heartbeat_seconds=1e-6, checkpoint_seconds=1e-6)
    for observation in run_trial(trial_of(method), context):
        if observation.stage == "pretrain" and observation.step == STEP:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> None:
    """Run a trial of each method in a process of its own; raise unless SIGKILL ended each."""
    for method in METHODS:
        if (pid := os.fork()) == 0:
            run_until_killed(method, folder / method)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WTERMSIG(status) != signal.SIGKILL:
            raise RuntimeError(f"the trial of {method} ended with status {status}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
