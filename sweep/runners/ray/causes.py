"""What an error of Ray's stands for: the trial's own doing, its worker's end, or its node's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial

from sweep.core.failures import ERROR_LENGTH, NODE_LOST, TRACEBACK_LENGTH, Failure, TrialError
from sweep.runners.ray.cluster import lost_nodes
from sweep.runners.ray.memory import OutOfMemory

ADVICE = " Some common causes include"
"""Where Ray's words on a dead worker turn to what may be the matter."""


def failure_of(error: BaseException, *, node: Any, begun: bool) -> Failure:
    """Return the failure that an error of Ray's stands for.

    Args:
        error: of the trial's last call, or of its actor.
        node: that the actor ran on, where it is known.
        begun: the trial had its folder, and its imports.
    """
    if isinstance(error, RayTaskError):
        inner = error.cause
        if isinstance(inner, TrialError):
            return inner.failure
        return Failure.of(inner, cause="exception" if begun else "start")
    last = str(error).strip().rpartition("\n")[2].strip().partition(ADVICE)[0]
    if isinstance(error, OutOfMemory):
        said, cause = f"Ray killed the worker: {error.first_line}", "out of memory"
    elif not isinstance(error, RayActorError):
        said, cause = f"{type(error).__name__}: {last}", "start"
    elif error.preempted or node in lost_nodes():
        said, cause = f"the worker's node was lost: {last}", NODE_LOST
    else:
        said, cause = f"the worker's process died: {last}", "worker died" if begun else "start"
    return Failure(error=said[:ERROR_LENGTH], cause=cause, traceback=str(error)[-TRACEBACK_LENGTH:])


def error_of(trial: Trial) -> BaseException:
    """Return what Tune says went wrong with a trial; it keeps Ray's errors, and text of others."""
    if path := trial.pickled_error_file:  # on this machine; `get_pickled_error` reads a copy
        error: BaseException = cloudpickle.loads(Path(path).read_bytes())
        return error
    path = trial.error_file
    return RayError(Path(path).read_text(encoding="utf-8") if path else "Tune gives no reason")


def outcome_of(call: Any) -> Any:
    """Return what has come of a call: its result, or its error; None where neither has."""
    if call is None or not ray.wait([call], timeout=0)[0]:
        return None
    try:
        return ray.get(call)
    except RayError as error:
        return error
