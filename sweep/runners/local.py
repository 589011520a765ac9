"""The local runner: one trial at a time in this process. For debugging, and without Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sweep.core.failures import UNPROBED, Failure
from sweep.runners.interrupt import Interrupted, StopRequest, ending_at_once
from sweep.runners.worker import Worker
from sweep.study import Study


def drive(study: Study, open_worker: Callable[[str], Worker], stop: StopRequest) -> None:
    """Run trials, one after another, until no trial is left or the study is asked to stop.

    Args:
        study: decides which trial comes next, and what it does after each observation.
        open_worker: trial_id -> a worker that runs the trial.
        stop: checked between observations; a signal ends a trial's stage at once.
    """
    while not stop and (trial_id := study.next()) is not None:
        study.start(trial_id)
        with contextlib.ExitStack() as open_workers:
            worker = None
            while not stop:
                try:
                    with ending_at_once():  # a stage may take minutes, and can be repeated
                        if worker is None:
                            worker = open_worker(trial_id)
                            open_workers.callback(worker.close)
                        observation = worker.next()
                except Interrupted as interrupted:
                    stop.exit_code = interrupted.exit_code
                    break
                except (
                    Exception,
                    SystemExit,
                ) as error:  # the attempt fails, and the study continues
                    cause = "exception" if worker else "start"
                    study.fail(trial_id, Failure.of(error, cause=cause))
                    break
                if observation is None:
                    study.fail(trial_id, UNPROBED)
                    break
                if study.observe(trial_id, observation) != "continue":
                    break
