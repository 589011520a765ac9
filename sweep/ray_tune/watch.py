"""The driver's eye on its actors: where each is, whether it lives, and what became of it.

Tune tells when an actor begins a trial and when it fails. The rest is looked at in its
loop: an actor that gives no sign of life is killed, one that is busy when a stop is asked
for as well, and resources that do not come are spoken of.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.stopper import Stopper

from sweep.failures import ERROR_LENGTH, NODE_LOST, TRACEBACK_LENGTH, Failure, TrialError
from sweep.interrupt import StopRequest
from sweep.preflight import Devices
from sweep.ray_tune.cluster import lost_nodes, resources_of_nodes
from sweep.ray_tune.memory import OutOfMemory

GRACE_SECONDS = 2.0
"""For a trial to end its step once a stop is asked for; Tune by itself waits for ten."""

START_SECONDS = 120.0
"""After which a study that waits for resources says so, and again each ten times as long."""

PAUSE_SECONDS = 10.0
"""A driver that did not look for so long was asleep, or thinking: nobody else was silent."""


class Driver:
    """Stays on the driver: Tune pickles what it is given, and gets nothing of this."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@dataclass(slots=True)
class Seat:
    """A trial of Tune's, and the actor that it has, or waits for.

    Args:
        trial: Tune's.
        heard: when it last gave a sign of life, or began to wait; monotonic seconds.
        actor: that it has.
        node: a reference to the name of the actor's node.
        opened: a reference to whether the trial began.
        silent: it was killed for its silence.
    """

    trial: Trial
    heard: float
    actor: Any = None
    node: Any = None
    opened: Any = None
    silent: bool = False


class Watch(Driver, Stopper, tune.Callback):
    """Follows the actors of a study.

    Args:
        stop: once asked for, Tune's loop ends.
        devices: of a trial.
        hang_seconds: after so long without a sign of life an actor is killed.
        warn: takes sentences.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        stop: StopRequest,
        devices: Devices,
        *,
        hang_seconds: float,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked, self._devices = stop, devices
        self._hang_seconds, self._warn, self._clock = hang_seconds, warn, clock
        self._seats: dict[str, Seat] = {}
        self._looked = self._moved = clock()
        self._patience = START_SECONDS
        self._timer: threading.Timer | None = None
        self.error: Exception | None = None

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Keep the error that the study raises: Tune would make text of it."""
        try:
            yield
        except Exception as error:
            self.error = error
            raise

    # What the scheduler calls ----------------------------------------------------------

    def added(self, trial: Trial) -> None:
        """A trial waits for an actor."""
        self._seats[trial.trial_id] = Seat(trial=trial, heard=self._clock())

    def heard(self, trial: Trial) -> None:
        """A trial reported something."""
        self._seats[trial.trial_id].heard = self._clock()

    def failure(self, trial: Trial) -> Failure:
        """Return what became of a trial whose attempt failed."""
        seat, error = self._seats.pop(trial.trial_id), _error_of(trial)
        if seat.actor is not None and isinstance(error, RayActorError):
            ray.kill(seat.actor)  # one that Ray could not reach may live yet
        if seat.silent:
            said = f"no sign of life for {self._hang_seconds:g} s (resources.hang_seconds)"
            return Failure(error=said, cause="hang")
        begun, node = bool(_value(seat.opened)), _value(seat.node)
        return what_happened(error, node=node, begun=begun)

    def left(self, trial: Trial) -> None:
        """A trial leaves its actor, which may have to wait for its next one: the folder is free."""
        del self._seats[trial.trial_id]
        if (actor := trial.temporary_state.ray_actor) is not None:
            actor.leave.remote()

    # What Tune calls ---------------------------------------------------------------------

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self._asked and self._timer is None:
            self._timer = threading.Timer(GRACE_SECONDS, _kill, [self._actors()])
            self._timer.start()
        return bool(self._asked)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        seat = self._seats[trial.trial_id]
        seat.heard = self._clock()
        seat.actor = actor = trial.temporary_state.ray_actor
        if actor is not None:
            seat.node, seat.opened = actor.where.remote(), actor.open.remote()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = self._clock()
        if (pause := now - self._looked) > PAUSE_SECONDS:
            self._moved += pause
            for seat in self._seats.values():
                seat.heard += pause
        self._looked = now
        for seat in self._seats.values():
            actor = seat.trial.temporary_state.ray_actor
            if actor is not None and not seat.silent and now - seat.heard > self._hang_seconds:
                seat.silent = True
                ray.kill(actor)
        if any(seat.actor is not None for seat in self._seats.values()):
            self._moved, self._patience = now, START_SECONDS
        elif self._seats and now - self._moved > self._patience:
            self._patience = 10 * self._patience
            self._warn(_waiting(self._devices, now - self._moved))

    def close(self) -> None:
        """Leave the actors alone from now on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _actors(self) -> list[Any]:
        actors = (seat.trial.temporary_state.ray_actor for seat in self._seats.values())
        return [actor for actor in actors if actor is not None]


def what_happened(error: BaseException, *, node: str | None, begun: bool) -> Failure:
    """Return the failure that an error of Ray's stands for.

    Args:
        error: of the trial's last call, or of its actor.
        node: that the actor ran on, as far as it is known.
        begun: the trial had its folder, and its imports.
    """
    if isinstance(error, RayTaskError):
        inner = error.cause
        if isinstance(inner, TrialError):
            return inner.failure
        return Failure.of(inner, cause="exception" if begun else "start")
    last = str(error).strip().rpartition("\n")[2].strip()
    if isinstance(error, OutOfMemory):
        said, cause = f"Ray killed the worker: {error.first_line}", "out of memory"
    elif not isinstance(error, RayActorError):
        said, cause = f"{type(error).__name__}: {last}", "start"
    elif error.preempted or node in lost_nodes():
        said, cause = f"the worker's node was lost: {last}", NODE_LOST
    else:
        said, cause = f"the worker's process died: {last}", "worker died" if begun else "start"
    return Failure(error=said[:ERROR_LENGTH], cause=cause, traceback=str(error)[-TRACEBACK_LENGTH:])


def _error_of(trial: Trial) -> BaseException:
    """Return what Tune says went wrong with a trial; it keeps Ray's errors, and text of others."""
    if path := trial.pickled_error_file:  # on this machine; `get_pickled_error` reads a copy
        error: BaseException = cloudpickle.loads(Path(path).read_bytes())
        return error
    path = trial.error_file
    return RayError(Path(path).read_text(encoding="utf-8") if path else "Tune gives no reason")


def _waiting(devices: Devices, seconds: float) -> str:
    each = f"{devices.cpu} cores and {devices.gpu:g} GPUs"
    return (
        f"No trial has had an actor for {seconds:.0f} s. Each wants {each} on one node; the "
        f"nodes have {'; '.join(resources_of_nodes()) or 'left'}. The study waits for them. "
        "Ctrl-C stops it, and it can be resumed with others: resources.cpu, resources.gpu."
    )


def _kill(actors: list[Any]) -> None:
    for actor in actors:
        ray.kill(actor)


def _value(reference: Any) -> Any:
    """Return what has come of a call, or None where nothing has, and never will."""
    try:
        return None if reference is None else ray.get(reference, timeout=0)
    except (RayError, TimeoutError):
        return None
