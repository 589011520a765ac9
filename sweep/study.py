"""The step: record the event, charge the budget, ask the rule. Runners only act.

A `Study` is driven by one runner, in one thread: it says which trial to put to work
(`next`), takes in what trials report (`start`, `observe`, `fail`), and answers with
what the trial is to do. Every event is in the log before anybody acts on it. The
same class serves the runner in process, Ray Tune, a user's own scheduler and a replay.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from sweep.config.models import BudgetConfig
from sweep.core.errors import SweepError
from sweep.core.failures import NODE_LOST
from sweep.core.history import History, State
from sweep.core.records import Action, Event, EventKind, Observation, Verdict
from sweep.log.log import Log
from sweep.proposers import Proposer
from sweep.rules import Rule

Listener = Callable[[Event], None]


LOST_NODES = 100
"""Nodes that a trial may lose before that counts against it: no study goes on for ever."""

WAITS = (State.PAUSED, State.WAITING, State.HELD)
"""States of a trial that is not at work until it is told to go on."""

MAY: Mapping[Action, tuple[State, ...]] = {
    "continue": WAITS,
    "hold": (State.TRAINING, *WAITS),
    "stop": tuple(state for state in State if not state.final),
}
"""Of whom a rule may say what."""


class RuleError(SweepError):
    """A rule said something of a trial that does not wait."""


class Study:
    """A study under way.

    Args:
        rule: decides who is probed.
        proposer: names the candidate that is pretrained next; by default the first in order.
        log: where events go; events that it holds already are folded in first.
        budget: limits; None fields are without limit.
        workers: M, trials at work at once.
        retries: attempts after the first.
        price_per_device_hour: turns device-seconds into money.
        clock: seconds since the epoch.
        listeners: called with each new event, after it is in the log.
    """

    def __init__(
        self,
        *,
        rule: Rule,
        log: Log,
        proposer: Proposer | None = None,
        budget: BudgetConfig | None = None,
        workers: int = 1,
        retries: int = 0,
        price_per_device_hour: float = 0.0,
        clock: Callable[[], float] = time.time,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self.rule = rule
        self._proposer = proposer
        self.budget = budget or BudgetConfig()
        self.history = History(workers=workers)
        self.working: set[str] = set()
        self._log = log
        self._clock = clock
        self._retries = retries
        self._price = price_per_device_hour
        self._listeners = list(listeners)
        self._seen: dict[str, set[tuple[str, int]]] = {}
        self._attempts: dict[str, int] = {}
        self._sessions: list[list[float]] = []
        self._failures: dict[str, Counter[str]] = {}
        self._finished = False
        self._cursor = 0
        self._due: dict[str, None] = {}  # told to go on, in the order of the verdicts
        for event in log.read():
            self._fold(event)
        self._charge()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each event from now on, after it is in the log."""
        self._listeners.append(listener)

    @property
    def finished(self) -> bool:
        """True if the last thing that happened is that the study ended."""
        return self._finished

    def events(self) -> Iterable[Event]:
        """Return every event so far, from the log."""
        return self._log.read()

    # What a runner calls -------------------------------------------------------------

    def record(
        self,
        kind: EventKind,
        payload: Mapping[str, Any],
        *,
        trial_id: str = "",
    ) -> Event:
        """Put one event into the log, fold it in, tell the listeners, and ask the rule."""
        event = Event(
            seq=self.history.seq + 1,
            time=self._clock(),
            kind=kind,
            trial_id=trial_id,
            attempt=self._attempts.get(trial_id, 0),
            payload=payload,
        )
        self._log.append(event)
        self._fold(event)
        self._charge()
        for listener in self._listeners:
            listener(event)
        if _asks(event):
            self._ask()
        return event

    def add(self, trial_id: str, point: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Add a candidate to the end of the order; one that is there already is left alone."""
        if trial_id not in self.history:
            payload = {"point": dict(point), "config": dict(config), "index": len(self.history)}
            self.record("candidate", payload, trial_id=trial_id)

    def next(self) -> str | None:
        """Return the trial to put to work now, or None.

        Probes that are due come first, then interrupted and new candidates in order. When
        nothing works and nothing may start, whoever is still held is decided, and what
        comes of that is returned.
        """
        found = self._startable()
        while found is None and not self.working and not self.history.closed:
            self.idle()
            found = self._startable()
        return found

    def idle(self) -> None:
        """Note that nothing works and nothing may start, and see to it that somebody goes on."""
        self.record("idle", {"reason": self.exhausted() or "no candidate is left to start"})
        if self._startable() is None:
            self._release()

    def start(self, trial_id: str, **payload: Any) -> int:
        """Note that a runner put the trial to work; return the attempt, from 1."""
        self._attempts[trial_id] = self._attempts.get(trial_id, 0) + 1
        self.working.add(trial_id)
        self.record("start", payload, trial_id=trial_id)
        return self._attempts[trial_id]

    def observe(self, trial_id: str, seen: Observation) -> Action:
        """Take in what a trial reports; return what it is to do.

        An observation that the study has already, by stage and step, is not recorded again.
        `continue` means report the next one; `hold` and `stop` mean that the trial is no
        longer at work.
        """
        name = (seen.stage, seen.step)
        if name not in self._seen.setdefault(trial_id, set()):
            self.record("observation", seen.to_json(), trial_id=trial_id)
        action = self.action(trial_id)
        if action != "continue":
            self.working.discard(trial_id)
        return action

    def action(self, trial_id: str) -> Action:
        """Return what a trial is to do, as things stand."""
        state = self.history.state_of(trial_id)
        if state.final:
            return "stop"
        return "hold" if state in WAITS else "continue"

    def overrule(self, verdict: Verdict) -> None:
        """Record a verdict that is not the rule's: the runner cannot do what the rule says."""
        self._decide(verdict)
        self.working.add(verdict.trial_id)

    def fail(self, trial_id: str, error: str, *, traceback: str = "", cause: str) -> None:
        """Note that the trial's attempt ended in an error; it is retried while attempts last.

        An attempt that a lost node ended is not counted, up to `LOST_NODES`.
        """
        self.working.discard(trial_id)
        before = self._failures.get(trial_id, Counter())
        lost = before[NODE_LOST]
        counted, limit = before.total() - lost, self._retries
        if cause == NODE_LOST:
            counted, limit = lost, LOST_NODES
        final = counted >= limit
        payload = {"error": error, "traceback": traceback, "cause": cause, "final": final}
        self.record("failure", payload, trial_id=trial_id)

    def exhausted(self) -> str | None:
        """Return which limit of the budget forbids to pretrain another candidate, or None."""
        begun = len(self.history) - self.history.count(State.PENDING)
        spent: dict[str, float] = {
            "trials": begun,
            "device_seconds": self.history.spent.device_seconds,
            "wall_seconds": sum(last - first for first, last in self._sessions),
            "money": self.history.spent.device_seconds * self._price / 3600,
        }
        for name, amount in spent.items():
            limit = getattr(self.budget, name)
            if limit is not None and amount >= limit:
                return f"budget.{name} is spent ({amount:.6g} of {limit:.6g})"
        return None

    def why_it_ends(self) -> str:
        """Return why nothing more is put to work, once `next` has none."""
        if not self.history.count(State.PENDING, State.PAUSED, State.HELD):
            return "every candidate is decided"
        return self.exhausted() or f"budget.probes is spent ({self.budget.probes})"

    # The step ------------------------------------------------------------------------

    def _fold(self, event: Event) -> None:
        self.history.fold(event)
        self._finished = event.kind == "finish" or (self._finished and event.kind == "session")
        match event.kind:
            case "session":
                self._sessions.append([event.time, event.time])
            case "start":
                self._attempts[event.trial_id] = event.attempt
            case "observation":
                name = (event.payload["stage"], event.payload["step"])
                self._seen.setdefault(event.trial_id, set()).add(name)
            case "verdict" if event.payload["action"] == "continue":
                self._due[event.trial_id] = None
            case "budget":
                self.budget = BudgetConfig(**event.payload["config"]["budget"])
            case "failure":
                causes = self._failures.setdefault(event.trial_id, Counter())
                causes[event.payload.get("cause", "exception")] += 1
        if event.trial_id in self._due:
            state = self.history.state_of(event.trial_id)
            if state not in (State.TRAINING, State.PROBING):
                del self._due[event.trial_id]
        if self._sessions:
            self._sessions[-1][1] = event.time

    def _charge(self) -> None:
        if self.budget.probes is not None:
            paid = self.history.count(State.PROBING, State.PROBED)
            self.history.probes_left = max(0, self.budget.probes - paid)
        else:
            self.history.probes_left = None

    def _ask(self) -> None:
        """Ask until the answer holds still: a stop may end a round, and open the next."""
        for trial_id, why in list(self.history.broken.items()):
            self._decide(Verdict(trial_id=trial_id, action="stop", reason=why))
        moved = True
        while moved:
            moved = False
            decision = self.rule(self.history)
            if decision.zone != self.history.zone:
                zone = {**asdict(decision.zone), "answers_seq": self.history.seq}
                self.record("zone", zone)
            for verdict in decision.verdicts:
                moved |= self._decide(verdict)

    def _decide(self, verdict: Verdict) -> bool:
        """Record a verdict if it changes anything; return whether it did."""
        state = self.history.state_of(verdict.trial_id)
        action, reason = verdict.action, verdict.reason
        if state not in MAY[action]:
            raise RuleError(
                f"The rule says {action} of trial {verdict.trial_id}, which is {state.name} "
                "and waits for no such verdict."
            )
        if action == "continue" and state != State.PAUSED and self.history.probes_left == 0:
            action, reason = "hold", f"budget.probes is spent ({self.budget.probes}); {reason}"
        if action == "hold" and state in (State.HELD, State.PAUSED):
            return False
        payload = {
            "action": action,
            "reason": reason,
            "zone": asdict(self.history.zone),
            "answers_seq": self.history.seq,
        }
        if verdict.chance is not None:
            payload["chance"] = verdict.chance
        self.record("verdict", payload, trial_id=verdict.trial_id)
        return True

    def _release(self) -> None:
        """Whom the rule holds although nothing runs, is probed: waiting would be for ever."""
        reason = "released: nothing else runs that could decide it"
        for row in [*self.history.rows(State.PAUSED), *self.history.waiting]:
            trial_id = self.history.trial_ids[row]
            self._decide(Verdict(trial_id=trial_id, action="continue", reason=reason))

    def _startable(self) -> str | None:
        for trial_id in self._due:
            if trial_id not in self.working:
                return trial_id
        spent = self.exhausted()
        state, ids = self.history.state, self.history.trial_ids
        while self._cursor < len(ids) and state[self._cursor] > State.TRAINING:
            self._cursor += 1
        rest = state[self._cursor :]
        for row in self._cursor + np.flatnonzero(rest == State.TRAINING):
            if ids[row] not in self.working:  # interrupted
                return ids[row]
        pending = np.flatnonzero(rest == State.PENDING)
        if spent is not None or len(pending) == 0:
            return None
        proposed = self._proposer(self.history) if self._proposer else None
        return ids[self._cursor + int(pending[0]) if proposed is None else proposed]


def _asks(event: Event) -> bool:
    """True if a rule may say something else once this has happened."""
    match event.kind:
        case "session" | "idle" | "budget":
            return True
        case "failure":
            return bool(event.payload["final"])
        case "observation":
            return event.payload["stage"] in ("trained", "measured", "probed")
    return False
