"""Follows a study's actors: the node of each, whether it is alive, and why it failed.

Tune calls this file when an actor starts a trial and when an actor fails. In each round of Tune's
loop it also kills actors that give no sign of life, kills busy actors once a stop is asked for, and
warns when no resources become free.
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
from sweep.runners.ray.internals import actor_of, draining_nodes

GRACE_SECONDS = 2.0
"""How long a trial may take to end its step once a stop is asked for. Tune's default is ten."""

START_SECONDS = 120.0
"""A study that waits so long for resources warns, and again after ten times as long."""

WAIT_SECONDS = 30.0
"""With `resources.wait`, so often a line says what trials wait for."""

DRAIN_SECONDS = 1.0
"""Between two looks for nodes that Ray is about to take away."""

SETTLE_SECONDS = 60.0
"""How long Ray may take to find out whether a worker that cannot be reached is alive."""

PAUSE_SECONDS = 10.0
"""A longer gap between two rounds is the driver's own (it was suspended, or a rule computed). It is
not counted as silence of the actors."""


class DriverOnly:
    """Base of objects that exist on the driver only: their pickles, which Tune makes, are empty."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@dataclass(slots=True)
class ActorSlot:
    """One trial of Tune, and the actor that it has or waits for.

    Args:
        trial: Tune's.
        last_sign: monotonic seconds of its last sign of life, or of the begin of its wait.
        actor: the handle of its actor.
        node: reference to the id of the actor's node.
        opened: reference to whether the trial could begin.
        silent: True if the actor was killed for its silence.
        drained: True if the actor was ended because its node is being taken away.
        error: the error that ended its attempt.
        probe: a call whose result shows whether an actor that could not be reached is alive.
    """

    trial: Trial
    last_sign: float
    actor: Any = None
    node: Any = None
    opened: Any = None
    silent: bool = False
    drained: bool = False
    error: BaseException | None = None
    probe: Any = None


class Watch(DriverOnly, Stopper, tune.Callback):
    """Follows the actors of a study.

    Args:
        stop: ends Tune's loop once a stop is asked for.
        devices: of each trial.
        hang_seconds: an actor is killed after so long without a sign of life.
        wait: whether trials may wait for nodes that join later.
        warn: takes sentences for the user.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        stop: StopRequest,
        devices: Devices,
        *,
        hang_seconds: float,
        wait: bool,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop, self._devices = stop, devices
        self._hang_seconds, self._wait = hang_seconds, wait
        self._warn, self._clock = warn, clock
        self._slots: dict[str, ActorSlot] = {}
        self._ended: list[ActorSlot] = []
        # Weak references: Ray ends an actor when its last handle goes.
        self._nodes: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._last_round = self._last_actor = clock()
        self._patience = START_SECONDS
        self._draining: set[str] = set()
        self._looked_at = -DRAIN_SECONDS
        self._timer: threading.Timer | None = None
        self.error: Exception | None = None

    @contextlib.contextmanager
    def keeping_error(self) -> Iterator[None]:
        """Keep the exception that the study raises; Tune would turn it into text."""
        try:
            yield
        except Exception as error:
            self.error = error
            raise

    # Called by the scheduler -------------------------------------------------------------

    def added(self, trial: Trial) -> None:
        """A trial waits for an actor."""
        self._slots[trial.trial_id] = ActorSlot(trial=trial, last_sign=self._clock())

    def reported(self, trial: Trial) -> None:
        """A trial reported a result."""
        self._slots[trial.trial_id].last_sign = self._clock()

    def failed(self, trial: Trial) -> None:
        """An attempt ended in an error; `settled` returns its cause once that is known."""
        slot = self._slots.pop(trial.trial_id)
        slot.last_sign, slot.error = self._clock(), error_of(trial)
        slot.actor = slot.actor or actor_of(trial)  # an actor that died as it was reused
        slot.node = self._nodes.get(slot.actor) if slot.actor is not None else None
        if isinstance(slot.error, ActorUnavailableError) and slot.actor is not None:
            slot.probe = slot.actor.where.remote()
        self._ended.append(slot)

    def settled(self) -> list[tuple[str, Failure]]:
        """Return (our trial's id, failure) of the attempts whose cause has become known.

        A worker that cannot be reached has died with its node, has died alone, or is alive. The
        result of its next call shows which, for a lost node after some 15 s.
        """
        known = [slot for slot in self._ended if self._is_known(slot)]
        self._ended = [slot for slot in self._ended if slot not in known]
        return [(slot.trial.config["trial"], self._cause(slot)) for slot in known]

    def _is_known(self, slot: ActorSlot) -> bool:
        if slot.probe is None or self._clock() - slot.last_sign > SETTLE_SECONDS:
            return True
        if not ray.wait([slot.probe], timeout=0)[0]:
            return False
        answer = outcome_of(slot.probe)
        if isinstance(answer, ActorUnavailableError):
            slot.probe = slot.actor.where.remote()  # Ray does not know yet, either
            return False
        if isinstance(answer, BaseException):
            slot.error = answer
        return True

    def _cause(self, slot: ActorSlot) -> Failure:
        assert slot.error is not None
        if slot.drained:  # the node may be gone by now, and may not be among the lost ones yet
            return Failure(error="the worker's node is being taken away", cause=NODE_LOST)
        begun, node = outcome_of(slot.opened) is True, outcome_of(slot.node)
        failure = failure_of(slot.error, node=node, begun=begun)
        if slot.probe is not None:
            ray.kill(slot.actor)  # it may be alive
        if slot.silent and failure.cause != NODE_LOST:
            sentence = f"no sign of life for {self._hang_seconds:g} s (resources.hang_seconds)"
            return Failure(error=sentence, cause="hang")
        return failure

    def left(self, trial: Trial) -> None:
        """A trial leaves its actor, which lets go of the trial's folder before its next trial."""
        del self._slots[trial.trial_id]
        if (actor := actor_of(trial)) is not None:
            actor.leave.remote()

    def hand_over_if_drained(self, trial: Trial) -> None:
        """End a trial's actor if its node is being taken away; the trial goes on elsewhere.

        Called after a result. The trial leaves its folder first. Its next call then fails, and
        counts as a lost node, which costs it no retry.
        """
        slot = self._slots[trial.trial_id]
        actor = slot.actor
        if actor is not None and outcome_of(self._nodes.get(actor)) in self._draining:
            slot.drained = True
            actor.leave.remote()
            actor.__ray_terminate__.remote()

    # Called by Tune ----------------------------------------------------------------------

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self._stop and self._timer is None:
            self._timer = threading.Timer(GRACE_SECONDS, _kill, [self._actors()])
            self._timer.start()
        return bool(self._stop)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        slot = self._slots[trial.trial_id]
        slot.last_sign = self._clock()
        slot.actor = actor = actor_of(trial)
        if actor is not None:
            if actor not in self._nodes:
                self._nodes[actor] = actor.where.remote()
            slot.opened = actor.open.remote(trial.config["job"])

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = self._clock()
        if (pause := now - self._last_round) > PAUSE_SECONDS:
            self._last_actor += pause
            for slot in self._slots.values():
                slot.last_sign += pause
        self._last_round = now
        for slot in self._slots.values():
            actor = actor_of(slot.trial)
            if actor is not None and not slot.silent and now - slot.last_sign > self._hang_seconds:
                slot.silent = True
                ray.kill(actor)
        if now - self._looked_at >= DRAIN_SECONDS:
            self._draining, self._looked_at = draining_nodes(), now
        self._say_what_is_missing(now)

    def _say_what_is_missing(self, now: float) -> None:
        waiting = sum(slot.actor is None for slot in self._slots.values())
        missing = waiting if self._wait else waiting == len(self._slots)
        patience = WAIT_SECONDS if self._wait else self._patience
        if not waiting or not missing:
            self._last_actor, self._patience = now, START_SECONDS
        elif now - self._last_actor < patience:
            return
        elif self._wait:
            self._last_actor = now
            self._warn(_waiting_for_nodes(self._devices, waiting))
        else:
            self._patience = 10 * self._patience
            self._warn(_waiting(self._devices, now - self._last_actor))

    def close(self) -> None:
        """Kill no more actors."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _actors(self) -> list[Any]:
        actors = (actor_of(slot.trial) for slot in self._slots.values())
        return [actor for actor in actors if actor is not None]


def _waiting_for_nodes(devices: Devices, waiting: int) -> str:
    each = f"{devices.cpu:g} CPU and {devices.gpu:g} GPU"
    nodes = "; ".join(resources_of_nodes()) or "no node is alive"
    return (
        f"{waiting} of {devices.parallel} trials wait for nodes (resources.wait). Each needs "
        f"{each} on one node that is free; the nodes have: {nodes}."
    )


def _waiting(devices: Devices, seconds: float) -> str:
    each = f"{devices.cpu:g} CPU and {devices.gpu:g} GPU"
    nodes = "; ".join(resources_of_nodes()) or "no node is alive"
    return (
        f"No trial has had an actor for {seconds:.0f} s. Each trial needs {each} on one node; the "
        f"nodes have: {nodes}. The study waits for them. Press Ctrl-C to stop it; "
        "`sweep resume` goes on with other resources.cpu and resources.gpu."
    )


def _kill(actors: list[Any]) -> None:
    for actor in actors:
        ray.kill(actor)
