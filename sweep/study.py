"""The step: record the event, charge the budget, ask the rule. Runners only act.

One runner drives a `Study`, in one thread. The study names the trial to put to work (`next`),
takes in what trials report (`start`, `observe`, `fail`), and answers what the trial is to do.
Every event is in the log before anything acts on it. The same class serves the runner in
process, Ray Tune, a user's own scheduler and a replay.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sweep.config.models import BudgetConfig
from sweep.core.errors import SweepError
from sweep.core.events import (
    BudgetChanged,
    CandidateAdded,
    Decided,
    Event,
    Idled,
    Observed,
    SessionBegan,
    StudyFinished,
    Suggested,
    TrialEvent,
    TrialFailed,
    TrialStarted,
    ZoneMoved,
)
from sweep.core.failures import NODE_LOST, Failure
from sweep.core.history import History, State
from sweep.core.records import Action, Observation, Verdict
from sweep.log.log import Log
from sweep.proposers import Proposer
from sweep.rules import Rule

Listener = Callable[[Event], None]

LOST_NODES = 100
"""Attempts of one trial that a lost node may end before such an attempt counts as a failure."""

WAITING_STATES = (State.PAUSED, State.WAITING, State.HELD)
"""States of a trial that does nothing until the rule answers continue."""

ALLOWED_STATES: Mapping[Action, tuple[State, ...]] = {
    "continue": WAITING_STATES,
    "hold": (State.TRAINING, *WAITING_STATES),
    "stop": tuple(state for state in State if not state.final),
}
"""The states in which each action is allowed."""


class RuleError(SweepError):
    """A rule gave an answer that the state of a trial or of the study does not allow."""


class Study:
    """A study under way.

    Args:
        rule: decides which trials are probed.
        proposer: names the candidate that is pretrained next; by default the first in order.
        log: takes the events; the events that it already holds are folded in first.
        budget: limits; None fields are without limit.
        workers: M, trials at work at once.
        retries: attempts after the first.
        price_per_device_hour: turns device-seconds into money.
        clock: seconds since the epoch.
        listeners: called with each new event, after it is in the log.
        suggests: False if candidates begin without the study being asked, as in a user's own
            Tuner; a rule that chooses which candidate begins is then only told.
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
        suggests: bool = True,
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
        self._stages: dict[str, set[tuple[str, int]]] = {}  # (stage, step) observed
        self._attempts: dict[str, int] = {}
        self._sessions: list[list[float]] = []
        self._failures: dict[str, Counter[str]] = {}
        self._finished = False
        self._cursor = 0
        self._begins = bool(getattr(rule, "begins", False))
        self._suggests = self._begins and suggests
        self._question = 0  # seq of the last event after which the rule may answer anew
        self._idle = -1  # seq of the question that the rule answered by idling
        self._begun: str | None = None  # the candidate that the rule began and no runner started
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

    def record(self, event: Event) -> None:
        """Log one event, fold it in, tell the listeners, and ask the rule where it may answer.

        Args:
            event: made without `seq`, `time` and `attempt`, which are filled in here.
        """
        event = self._stamped(event)
        self._log.append(event)
        self._fold(event)
        self._charge()
        for listener in self._listeners:
            listener(event)
        if self._asks(event):
            self._ask()

    def follow(self, event: Event) -> None:
        """Take in an event that another process has logged: nothing is logged or decided here."""
        self._log.append(event)
        self._fold(event)
        self._charge()
        if isinstance(event, TrialEvent):
            state = self.history.state_of(event.trial_id)
            at_work = state in (State.TRAINING, State.PROBING)
            (self.working.add if at_work else self.working.discard)(event.trial_id)
        for listener in self._listeners:
            listener(event)

    def add(self, trial_id: str, point: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Add a candidate to the end of the order; do nothing if the study has it already."""
        if trial_id not in self.history:
            index = len(self.history)
            self.record(
                CandidateAdded(
                    trial_id=trial_id, point=dict(point), config=dict(config), index=index
                )
            )

    def next(self) -> str | None:
        """Return the trial to put to work now, or None.

        Trials that were told to continue come first, then trials that were given up before the
        retries were raised, then interrupted ones, then a new candidate.
        The rule chooses the candidate, or lets the worker idle, if it has `begins`; else the
        proposer chooses it. When no trial works and none may start, the rule must decide the
        trials that are still held, and one that it lets continue is returned.

        Raises:
            RuleError: the rule idles while nothing works, or begins what is not pending.
        """
        trial_id = self._startable()
        while trial_id is None and not self.working and not self.history.closed:
            self.idle()
            trial_id = self._startable()
        return trial_id

    def idle(self) -> None:
        """Record that no trial works and none may start; release the held trials if need be."""
        self.record(Idled(reason=self.exhausted() or "no candidate is left to start"))
        if self._startable() is None:
            self._release()

    def start(self, trial_id: str, *, worker: str | None = None, log: str | None = None) -> int:
        """Record that a runner put the trial to work; return the attempt, from 1.

        Args:
            trial_id: of the trial.
            worker: that runs the trial, where the runner names it.
            log: path of the trial's log file, where the runner names it.
        """
        self._attempts[trial_id] = self._attempts.get(trial_id, 0) + 1
        self.working.add(trial_id)
        self._cursor = 0 if self.history.state_of(trial_id) == State.FAILED else self._cursor
        self.record(TrialStarted(trial_id=trial_id, worker=worker, log=log))
        return self._attempts[trial_id]

    def observe(self, trial_id: str, observation: Observation) -> Action:
        """Take in what a trial reports; return what the trial is to do.

        An observation of a stage and step that the study already has is not recorded again.
        After `continue` the trial reports its next observation; after `hold` and `stop` it is no
        longer at work.
        """
        name = (observation.stage, observation.step)
        if name not in self._stages.setdefault(trial_id, set()):
            self.record(Observed(trial_id=trial_id, observation=observation))
        action = self.action(trial_id)
        if action != "continue":
            self.working.discard(trial_id)
        return action

    def action(self, trial_id: str) -> Action:
        """Return what a trial is to do, by its present state."""
        state = self.history.state_of(trial_id)
        if state.final:
            return "stop"
        return "hold" if state in WAITING_STATES else "continue"

    def overrule(self, verdict: Verdict) -> None:
        """Record the runner's own verdict, where it cannot do what the rule decided."""
        self._decide(verdict)
        self.working.add(verdict.trial_id)

    def fail(self, trial_id: str, failure: Failure, *, final: bool | None = None) -> None:
        """Record that the trial's attempt ended in an error; it is retried while attempts last.

        An attempt that a lost node ended is not counted, up to `LOST_NODES` of them.

        Args:
            trial_id: of the trial.
            failure: why the attempt ended.
            final: whether the trial is given up, where the runner knows; by default its retries
                decide.
        """
        self.working.discard(trial_id)
        before = self._failures.get(trial_id, Counter())
        lost = before[NODE_LOST]
        counted, limit = before.total() - lost, self._retries
        if failure.cause == NODE_LOST:
            counted, limit = lost, LOST_NODES
        if final is None:
            final = counted >= limit
        self.record(TrialFailed(trial_id=trial_id, failure=failure, final=final))

    def exhausted(self, *names: str) -> str | None:
        """Return which limit of the budget forbids to pretrain another candidate, or None.

        `budget.probes` is not among these limits.

        Args:
            names: the limits to look at; by default trials, device_seconds, wall_seconds, money.
        """
        begun = len(self.history) - self.history.count(State.PENDING)
        spent: dict[str, float] = {
            "trials": begun,
            "device_seconds": self.history.spent.device_seconds,
            "wall_seconds": sum(last - first for first, last in self._sessions),
            "money": self.history.spent.device_seconds * self._price / 3600,
        }
        for name in names or spent:
            limit = getattr(self.budget, name)
            if limit is not None and spent[name] >= limit:
                return f"budget.{name} is spent ({spent[name]:.6g} of {limit:.6g})"
        return None

    def why_it_ends(self) -> str:
        """Return why the study ends, once `next` returns None."""
        if not self.history.count(State.PENDING, State.PAUSED, State.HELD):
            return "every candidate is decided"
        return self.exhausted() or f"budget.probes is spent ({self.budget.probes})"

    # The step ------------------------------------------------------------------------

    def _stamped(self, event: Event) -> Event:
        """Return the event with its place in the log, the time, and its trial's attempt."""
        stamp: dict[str, Any] = {"seq": self.history.seq + 1, "time": self._clock()}
        if isinstance(event, TrialEvent):
            stamp["attempt"] = self._attempts.get(event.trial_id, 0)
        return replace(event, **stamp)

    def _fold(self, event: Event) -> None:
        self.history.fold(event)
        if self._asks(event):
            self._question = event.seq
        match event:
            case SessionBegan():
                self._sessions.append([event.time, event.time])
            case TrialStarted():
                self._attempts[event.trial_id] = event.attempt
            case Observed(observation=observation):
                name = (observation.stage, observation.step)
                self._stages.setdefault(event.trial_id, set()).add(name)
            case Decided(action="continue"):
                self._due[event.trial_id] = None
            case TrialStarted(trial_id=again) if self.history.state_of(again) == State.PROBING:
                self._due[again] = None
            case Suggested(begin=None):
                self._idle = self._question
            case Suggested():
                self._begun = event.begin
            case BudgetChanged():
                self.budget = BudgetConfig(**event.config["budget"])
            case TrialFailed():
                causes = self._failures.setdefault(event.trial_id, Counter())
                causes[event.failure.cause] += 1
        if isinstance(event, TrialEvent) and event.trial_id in self._due:
            state = self.history.state_of(event.trial_id)
            if state not in (State.TRAINING, State.PROBING):
                del self._due[event.trial_id]
        if self._sessions:
            self._sessions[-1][1] = event.time
        ended = self._finished and isinstance(event, SessionBegan)
        self._finished = ended or isinstance(event, StudyFinished)

    def _charge(self) -> None:
        if self.budget.probes is not None:
            paid = self.history.count(State.PROBING, State.PROBED)
            self.history.probes_left = max(0, self.budget.probes - paid)
        else:
            self.history.probes_left = None
        self.history.may_begin = self.exhausted() is None
        self.history.may_train = self.exhausted("device_seconds", "wall_seconds", "money") is None

    def _asks(self, event: Event) -> bool:
        """Return whether the rule may answer something new after this event."""
        match event:
            case Observed(observation=observation):
                return observation.stage in ("trained", "measured", "probed")
            case SessionBegan() | Idled() | BudgetChanged() | TrialFailed(final=True):
                return True
            case TrialStarted():
                return self._begins
        return False

    def _ask(self) -> None:
        """Ask the rule until it changes nothing: a stop may end a round and open the next."""
        for trial_id, why in list(self.history.broken.items()):
            self._decide(Verdict(trial_id=trial_id, action="stop", reason=why))
        moved = True
        while moved:
            moved = False
            decision = self.rule(self.history)
            if decision.zone != self.history.zone:
                self.record(ZoneMoved(zone=decision.zone, answers_seq=self.history.seq))
            for verdict in decision.verdicts:
                moved |= self._decide(verdict)

    def _decide(self, verdict: Verdict) -> bool:
        """Record a verdict if it changes anything; return whether it did."""
        state = self.history.state_of(verdict.trial_id)
        action, reason = verdict.action, verdict.reason
        if state not in ALLOWED_STATES[action]:
            raise RuleError(
                f"The rule says {action} of trial {verdict.trial_id}, which is {state.name}. "
                f"{action} is allowed for: "
                f"{', '.join(allowed.name for allowed in ALLOWED_STATES[action])}."
            )
        if action == "continue" and state != State.PAUSED and self.history.probes_left == 0:
            action, reason = "hold", f"budget.probes is spent ({self.budget.probes}); {reason}"
        if action == "hold" and state in (State.HELD, State.PAUSED):
            return False
        self.record(
            Decided(
                trial_id=verdict.trial_id,
                action=action,
                reason=reason,
                chance=verdict.chance,
                zone=self.history.zone,
                answers_seq=self.history.seq,
            )
        )
        return True

    def _release(self) -> None:
        """Let every held trial continue: nothing runs, so nothing else could decide it.

        A trial that is paused during its training waits for a larger budget if there is no more.
        """
        reason = "released: nothing else runs that could decide it"
        goes_on = self.history.may_train and self.history.probes_left != 0
        paused = self.history.rows(State.PAUSED).tolist() if goes_on else []
        for row in [*paused, *self.history.waiting]:
            trial_id = self.history.trial_ids[row]
            self._decide(Verdict(trial_id=trial_id, action="continue", reason=reason))

    def _startable(self) -> str | None:
        for trial_id in self._due:
            if trial_id not in self.working:
                return trial_id
        if (again := self._failed_with_attempts_left()) is not None:
            return again
        spent = self.exhausted()
        state, ids = self.history.state, self.history.trial_ids
        while self._cursor < len(ids) and state[self._cursor] > State.TRAINING:
            self._cursor += 1
        rest = state[self._cursor :]
        for row in self._cursor + np.flatnonzero(rest == State.TRAINING):
            if ids[row] not in self.working:  # interrupted
                return ids[row]
        if self._suggests:
            return self._suggestion()
        pending = np.flatnonzero(rest == State.PENDING)
        if spent is not None or len(pending) == 0:
            return None
        proposed = self._proposer(self.history) if self._proposer else None
        return ids[self._cursor + int(pending[0]) if proposed is None else proposed]

    def _failed_with_attempts_left(self) -> str | None:
        """Return a trial that was given up with fewer retries than it may have now, or None."""
        for trial_id, causes in self._failures.items():
            lost = causes[NODE_LOST]
            left = causes.total() - lost <= self._retries and lost <= LOST_NODES
            if left and self.history.state_of(trial_id) == State.FAILED:
                return trial_id
        return None

    def _suggestion(self) -> str | None:
        """Return the candidate that the rule begins now, or None; record the rule's answer.

        A rule that idles is not asked again before an event to which it may answer anew. A
        candidate that it began, and that no runner started before a crash, is not asked for again.
        """
        if self._begun is not None:
            if self.history.state_of(self._begun) == State.PENDING and self.history.may_begin:
                return self._begun
            self._begun = None
        if self._idle == self._question and self.working:
            return None
        decision = self.rule(self.history)
        if decision.begin is not None:
            if self.history.state_of(decision.begin) != State.PENDING or not self.history.may_begin:
                raise RuleError(
                    f"The rule begins trial {decision.begin}, which is not pending, or the budget "
                    "allows no other candidate."
                )
        elif not decision.idle:
            return None
        elif not self.working:
            raise RuleError(
                f"The rule lets a worker idle ({decision.idle}), and nothing works that could "
                "change its answer."
            )
        self.record(
            Suggested(
                begin=decision.begin,
                idle=decision.idle,
                reason=decision.reason,
                answers_seq=self.history.seq,
            )
        )
        return decision.begin
