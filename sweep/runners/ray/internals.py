"""The private names of Ray that this room needs. No other file uses one.

Ray 2.60 has no public way to what these functions do. `tests/runners/ray/test_internals.py` checks
each against a real Ray, so that a Ray in which a name has moved fails there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ray._private import worker as ray_worker
from ray._private.state import state
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial


def actor_of(trial: Trial) -> Any:
    """Return the handle of the actor that runs a Tune trial, None while the trial has none.

    A Tune callback gets the trial, and the trial shows its actor in no public attribute.
    """
    return trial.temporary_state.ray_actor


def draining_nodes() -> set[str]:
    """Return the ids of the living nodes that Ray is about to take away.

    `ray.nodes()` calls such a node alive; `ray.util.state` needs the dashboard.
    """
    return set(state.get_draining_nodes())


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep Ray from printing its errors into our output (`--json` is output, too).

    The driver prints what raylets report: a worker that died, a node that is lost. Ray's setting
    `log_to_driver=False` covers the output of workers only.
    """
    before = ray_worker._worker_logs_enabled
    ray_worker._worker_logs_enabled = False
    try:
        yield
    finally:
        ray_worker._worker_logs_enabled = before


class _DeathByMemory(RayActorError, OutOfMemoryError):
    """An actor died because its node ran out of memory; `message` is Ray's."""

    def __init__(self, message: str) -> None:
        RayActorError.__init__(self, error_msg=message)


@contextlib.contextmanager
def death_by_memory() -> Iterator[None]:
    """Let Tune treat an actor that Ray killed for memory like any other actor that died.

    Tune handles the error of a task and the error of an actor that died. `OutOfMemoryError` is
    neither: Tune would end the whole run, or keep only text. Here it is made the second as well.
    """
    start_failed = RayActorManager._actor_start_failed
    task_failed = RayActorManager._actor_task_failed

    def on_start(self: RayActorManager, tracked_actor: Any, exception: Exception) -> None:
        start_failed(self, tracked_actor, _as_death(exception))

    def on_task(self: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        task_failed(self, tracked_actor_task, _as_death(exception))

    RayActorManager._actor_start_failed = on_start  # type: ignore[method-assign]
    RayActorManager._actor_task_failed = on_task  # type: ignore[method-assign]
    try:
        yield
    finally:
        RayActorManager._actor_start_failed = start_failed  # type: ignore[method-assign]
        RayActorManager._actor_task_failed = task_failed  # type: ignore[method-assign]


def _as_death(error: Exception) -> Exception:
    return _DeathByMemory(str(error)) if isinstance(error, OutOfMemoryError) else error
