"""The runner in process: one trial at a time, without Ray. For debugging, and where Ray is not."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable

from sweep.interrupt import StopRequest
from sweep.study import Study
from sweep.worker import Worker


def drive(study: Study, open_worker: Callable[[str], Worker], stop: StopRequest) -> None:
    """Put trials to work, one after another, until none is left or a stop is asked for.

    Args:
        study: says which trial comes next and what it is to do.
        open_worker: trial_id -> the trial at work.
        stop: looked at between observations.
    """
    while not stop and (trial_id := study.next()) is not None:
        study.start(trial_id)
        with contextlib.ExitStack() as leaving:
            worker = None
            while not stop:
                try:
                    worker = worker or leaving.enter_context(
                        contextlib.closing(open_worker(trial_id))
                    )
                    seen = worker.next()
                except Exception as error:  # whatever a trial raises is a row, not our end
                    study.fail(
                        trial_id,
                        f"{type(error).__name__}: {error}",
                        traceback=traceback.format_exc(),
                        cause="exception",
                    )
                    break
                if seen is None:
                    study.fail(trial_id, "the trial ended unprobed", cause="exception")
                    break
                if study.observe(trial_id, seen) != "continue":
                    break
