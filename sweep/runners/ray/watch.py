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
from typing import Any
from weakref import WeakKeyDictionary

import ray
from ray import tune
from ray.exceptions import ActorUnavailableError
from ray.tune.experiment import Trial
from ray.tune.stopper import Stopper

from sweep.core.failures import NODE_LOST, Failure
from sweep.runners.devices import Devices
from sweep.runners.interrupt import StopRequest
from sweep.runners.ray.causes import error_of, failure_of, outcome_of
from sweep.runners.ray.cluster import resources_of_nodes

GRACE_SECONDS = 2.0
"""For a trial to end its step once a stop is asked for; Tune by itself waits for ten."""

START_SECONDS = 120.0
"""After which a study that waits for resources says so, and again each ten times as long."""

SETTLE_SECONDS = 60.0
"""For Ray to find out whether a worker that cannot be reached is alive."""

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
        error: that its attempt ended in.
        fate: a call that tells what became of an actor that could not be reached.
    """

    trial: Trial
    heard: float
    actor: Any = None
    node: Any = None
    opened: Any = None
    silent: bool = False
    error: BaseException | None = None
    fate: Any = None


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
        self._ended: list[Seat] = []
        # Weak: an actor whose last handle goes, goes.
        self._nodes: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
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

    def failed(self, trial: Trial) -> None:
        """An attempt ended in an error; `settled` tells of its cause once that is known."""
        seat = self._seats.pop(trial.trial_id)
        seat.heard, seat.error = self._clock(), error_of(trial)
        seat.actor = seat.actor or trial.temporary_state.ray_actor  # it died as it was reused
        seat.node = self._nodes.get(seat.actor) if seat.actor is not None else None
        if isinstance(seat.error, ActorUnavailableError) and seat.actor is not None:
            seat.fate = seat.actor.where.remote()
        self._ended.append(seat)

    def settled(self) -> list[tuple[str, Failure]]:
        """Return the failed attempts whose cause has become known, by our trial's name.

        A worker that cannot be reached died with its node, or without it, or has not died:
        Ray tells by what comes of its next call, after some 15 s for a node.
        """
        known = [seat for seat in self._ended if self._is_known(seat)]
        self._ended = [seat for seat in self._ended if seat not in known]
        return [(seat.trial.config["trial"], self._cause(seat)) for seat in known]

    def _is_known(self, seat: Seat) -> bool:
        if seat.fate is None or self._clock() - seat.heard > SETTLE_SECONDS:
            return True
        if not ray.wait([seat.fate], timeout=0)[0]:
            return False
        answer = outcome_of(seat.fate)
        if isinstance(answer, ActorUnavailableError):
            seat.fate = seat.actor.where.remote()  # Ray does not know yet, either
            return False
        if isinstance(answer, BaseException):
            seat.error = answer
        return True

    def _cause(self, seat: Seat) -> Failure:
        assert seat.error is not None
        begun, node = outcome_of(seat.opened) is True, outcome_of(seat.node)
        failure = failure_of(seat.error, node=node, begun=begun)
        if seat.fate is not None:
            ray.kill(seat.actor)  # it may live yet
        if seat.silent and failure.cause != NODE_LOST:
            said = f"no sign of life for {self._hang_seconds:g} s (resources.hang_seconds)"
            return Failure(error=said, cause="hang")
        return failure

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
            if actor not in self._nodes:
                self._nodes[actor] = actor.where.remote()
            seat.opened = actor.open.remote()

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


def _waiting(devices: Devices, seconds: float) -> str:
    each = f"{devices.cpu} CPU and {devices.gpu:g} GPU"
    return (
        f"No trial has had an actor for {seconds:.0f} s. Each wants {each} on one node; the "
        f"nodes have {'; '.join(resources_of_nodes()) or 'left'}. The study waits for them. "
        "Ctrl-C stops it, and it can be resumed with others: resources.cpu, resources.gpu."
    )


def _kill(actors: list[Any]) -> None:
    for actor in actors:
        ray.kill(actor)
