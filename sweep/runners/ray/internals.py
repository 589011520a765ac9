"""The private names of Ray that this room needs. No other file uses one.

Ray 2.60 has no public way to what these functions do. `tests/runners/ray/test_internals.py` checks
each against a real Ray, so that a Ray in which a name has moved fails there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._private.state import state
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback

_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers that tell of each upload and each stream; each sets its own level when it is imported."""


def actor_of(trial: Trial) -> Any:
    """Return the handle of the actor that runs a Tune trial, None while the trial has none.

    A Tune callback gets the trial, and the trial shows its actor in no public attribute.
    """
    return trial.temporary_state.ray_actor


def forget(tune_controller: Any, trial: Trial) -> None:
    """Let Tune forget a trial that has ended; Tune would keep each of them until the run ends.

    Measured with Ray 2.60: 32 kB for a trial, of which its results take two thirds.

    Args:
        tune_controller: what Tune gives to a scheduler, wrapped or not.
        trial: one that is TERMINATED or in ERROR, in a later round of Tune's loop.
    """
    controller = getattr(tune_controller, "_tune_controller", tune_controller)
    if trial in controller._trials:
        controller._trials.remove(trial)
    for group in (
        controller._live_trials,
        controller._stopped_trials,
        controller._failed_trials,
        controller._trials_to_cache,
    ):
        group.discard(trial)
    controller._trial_metadata.pop(trial.trial_id, None)


class NoProgress(TrialProgressCallback):
    """Takes the place of the callback with which Tune prints progress, and which keeps each trial.

    Tune adds its own where no callback of this class is given.
    """

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        """Print nothing and keep nothing."""

    def on_trial_error(self, *args: Any, **info: Any) -> None:
        """Print nothing and keep nothing."""

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        """Print nothing and keep nothing."""


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
    with _replaced(ray_worker, _worker_logs_enabled=False):
        yield


@contextlib.contextmanager
def without_uv_environment() -> Iterator[None]:
    """Keep Ray from building an environment for its workers where this process runs by `uv run`.

    Ray reads `RAY_ENABLE_UV_RUN_RUNTIME_ENV` once, when it is imported, which others may have done.
    """
    with _replaced(ray_constants, RAY_ENABLE_UV_RUN_RUNTIME_ENV=False):
        yield


@contextlib.contextmanager
def actors_of(actor: Any) -> Iterator[None]:
    """Let Tune run its trials in actors of another class than its `Trainable`.

    Tune would import itself in each worker, because the base class and two arguments are its own.

    Args:
        actor: a remote class without arguments, as are its methods: `train` returns a result,
            `reset` returns True before the next trial, and `stop` is called at the end.
    """
    add_actor = RayActorManager.add_actor
    schedule_task = RayActorManager.schedule_actor_task

    def add(self: RayActorManager, cls: Any, kwargs: Any, *args: Any, **callbacks: Any) -> Any:
        return add_actor(self, actor, {}, *args, **callbacks)

    def schedule(self: RayActorManager, tracked_actor: Any, method_name: str, **call: Any) -> Any:
        if method_name == "reset":
            call |= {"args": (), "kwargs": {}}
        return schedule_task(self, tracked_actor, method_name, **call)

    with _replaced(RayActorManager, add_actor=add, schedule_actor_task=schedule):
        yield


@contextlib.contextmanager
def _replaced(owner: Any, **new: Any) -> Iterator[None]:
    """Replace attributes within the block."""
    before = {name: getattr(owner, name) for name in new}
    for name, value in new.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def job_client(address: str) -> tuple[Any, str]:
    """Return Ray's client of the job server at an address, with the cluster's version of Ray.

    The client asks for the version when it connects, and shows it in no public attribute.
    """
    from ray.job_submission import JobSubmissionClient

    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    client = JobSubmissionClient(address)
    return client, str(client._server_ray_version)


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

    with _replaced(RayActorManager, _actor_start_failed=on_start, _actor_task_failed=on_task):
        yield


def _as_death(error: Exception) -> Exception:
    return _DeathByMemory(str(error)) if isinstance(error, OutOfMemoryError) else error
