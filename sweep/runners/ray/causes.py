"""Which cause of failure an error of Ray stands for: the trial, its worker or its node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial

from sweep.core.failures import ERROR_LENGTH, NODE_LOST, TRACEBACK_LENGTH, Failure, TrialError
from sweep.runners.ray.cluster import lost_nodes

ADVICE = " Some common causes include"
"""Ray's text on a dead worker goes on with these words and a list of what may be wrong."""


def failure_of(error: BaseException, *, node: Any, begun: bool) -> Failure:
    """Return the failure that an error of Ray stands for.

    Args:
        error: of the trial's last call, or of its actor.
        node: the id of the actor's node, None if it is not known.
        begun: True if the trial had imported its code and held its folder.
    """
    if isinstance(error, RayTaskError):
        inner = error.cause
        if isinstance(inner, TrialError):
            return inner.failure
        return Failure.of(inner, cause="exception" if begun else "start")
    text = str(error).strip()
    last_line = text.rpartition("\n")[2].strip().partition(ADVICE)[0]
    if isinstance(error, OutOfMemoryError):  # tables of processes follow its first line
        first_line, cause = text.partition("\n")[0], "out of memory"
        sentence = f"Ray killed the worker: {first_line}"
    elif not isinstance(error, RayActorError):
        sentence, cause = f"{type(error).__name__}: {last_line}", "start"
    elif error.preempted or node in lost_nodes():
        sentence, cause = f"the worker's node was lost: {last_line}", NODE_LOST
    else:
        sentence = f"the worker's process died: {last_line}"
        cause = "worker died" if begun else "start"
    return Failure(
        error=sentence[:ERROR_LENGTH], cause=cause, traceback=str(error)[-TRACEBACK_LENGTH:]
    )


def error_of(trial: Trial) -> BaseException:
    """Return the error of a Tune trial: Tune keeps Ray's errors whole, and the text of others."""
    if path := trial.pickled_error_file:  # on this machine; `get_pickled_error` reads a copy
        error: BaseException = cloudpickle.loads(Path(path).read_bytes())
        return error
    path = trial.error_file
    return RayError(Path(path).read_text(encoding="utf-8") if path else "Tune gives no reason")


def outcome_of(call: Any) -> Any:
    """Return the result of a call to an actor, or its error; None while neither is known."""
    if call is None or not ray.wait([call], timeout=0)[0]:
        return None
    try:
        return ray.get(call)
    except RayError as error:
        return error
