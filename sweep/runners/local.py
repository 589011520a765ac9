"""The runner in process: one trial at a time, without Ray. For debugging, and where Ray is not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sweep.core.failures import UNPROBED, Failure
from sweep.runners.interrupt import Interrupted, StopRequest, ending_at_once
from sweep.runners.worker import Worker
from sweep.study import Study


def drive(study: Study, open_worker: Callable[[str], Worker], stop: StopRequest) -> None:
    """Put trials to work, one after another, until none is left or a stop is asked for.

    Args:
        study: says which trial comes next and what it is to do.
        open_worker: trial_id -> the trial at work.
        stop: looked at between observations; a signal ends a trial's stage at once.
    """
    while not stop and (trial_id := study.next()) is not None:
        study.start(trial_id)
        with contextlib.ExitStack() as leaving:
            worker = None
            while not stop:
                try:
                    with ending_at_once():  # a stage may take minutes, and its journal bears it
                        if worker is None:
                            worker = open_worker(trial_id)
                            leaving.callback(worker.close)
                        seen = worker.next()
                except Interrupted as signalled:
                    stop.exit_code = signalled.exit_code
                    break
                except (Exception, SystemExit) as error:  # a row, and not our end
                    cause = "exception" if worker else "start"
                    study.fail(trial_id, Failure.of(error, cause=cause))
                    break
                if seen is None:
                    study.fail(trial_id, UNPROBED)
                    break
                if study.observe(trial_id, seen) != "continue":
                    break
