"""What a rule may see: the fold of a study's events into states and columns.

There is one row for each candidate, in the order in which they wait. Columns are numpy views that
cannot be written. There is no column of test accuracy, so no rule can read it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.core.errors import StudyError, unknown_trial
from sweep.core.events import (
    BudgetChanged,
    CandidateAdded,
    Decided,
    Event,
    Idled,
    Observed,
    SessionBegan,
    TrialEvent,
    TrialFailed,
    TrialStarted,
    ZoneMoved,
    trial_of,
)
from sweep.core.records import (
    Action,
    Cost,
    Measure,
    Observation,
    Verdict,
    Zone,
    measures_of_probe,
)

Floats = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]


class State(IntEnum):
    """How far a candidate is, according to the log."""

    PENDING = 0  # not started
    TRAINING = 1  # started, not measured
    PAUSED = 2  # told to wait during its training
    WAITING = 3  # measured, no verdict yet
    HELD = 4  # measured, told to wait
    PROBING = 5  # told to continue, not probed yet
    PROBED = 6
    STOPPED = 7
    FAILED = 8

    @property
    def final(self) -> bool:
        """True if the trial does nothing more."""
        return self >= State.PROBED


class History:
    """Candidates in order, with their state, their measures and what was spent.

    Args:
        workers: M, trials at work at once.

    Attributes:
        seq: of the last event folded in; -1 before the first.
        clock: that event's time, seconds since the epoch.
        zone: the last zone of the rule.
        closed: True if nothing runs and nothing more may start, so that waiting is useless.
        spent: seconds of all observations.
        broken: trial_id -> why, for models that must be stopped whatever the rule says.
        probes_left: probes that the budget still allows; None is without limit.
        latest: the row that was observed last; None before the first.
        arrived: the row of a trial in training whose probe or measures are the last event, so that
            the rule may tell it to wait or stop; else None.
        may_begin: False if the budget forbids to begin another candidate.
        may_train: False if a limit on seconds or money is reached, so that no paused trial should
            go on.
        varied: names of the fields in which the candidates differ and whose values are numbers
            or truth values; see `column`.
        named: names of the fields in which the candidates differ and whose values are texts or
            truth values; see `names`.
        fractions: of training, below 1, at which trials were looked at, ascending. The measures
            of such a look are in columns `NAME@FRACTION`, for instance `alpha@0.25`.
    """

    def __init__(self, *, workers: int = 1) -> None:
        self.workers = workers
        self.seq = -1
        self.clock = 0.0
        self.zone = Zone()
        self.closed = False
        self.spent = Cost()
        self.probes_left: int | None = None
        self.broken: dict[str, str] = {}
        self.fractions: tuple[float, ...] = ()
        self.varied: tuple[str, ...] = ()
        self.latest: int | None = None
        self.arrived: int | None = None
        self.may_begin = True
        self.may_train = True
        self.trial_ids: list[str] = []
        self._index: dict[str, int] = {}
        self._state = np.zeros(16, dtype=np.int8)
        self._columns: dict[str, Floats] = {}
        self._names: dict[str, dict[int, str]] = {}  # field -> row -> name
        self._counts = [0] * len(State)
        self._probed = np.zeros(16, dtype=np.int64)
        self._probed_count = 0
        self._waiting: set[int] = set()
        self._before_failure: dict[str, State] = {}
        self._unanswered: set[int] = set()

    def __len__(self) -> int:
        return len(self.trial_ids)

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self._index

    @property
    def state(self) -> npt.NDArray[np.int8]:
        """`State` of every candidate, int8 [H]."""
        return _view(self._state, len(self))

    @property
    def waiting(self) -> list[int]:
        """Rows that are measured and need a verdict (WAITING or HELD), in order."""
        return sorted(self._waiting)

    @property
    def unanswered(self) -> list[int]:
        """Rows that are measured and have no verdict yet (WAITING), in order."""
        return sorted(self._unanswered)

    @property
    def working(self) -> int:
        """How many trials are at work, or were told to go on."""
        return self.count(State.TRAINING, State.PROBING)

    def rows(self, *states: State) -> npt.NDArray[np.int64]:
        """Return the rows in any of these states, in order."""
        wanted = np.zeros(len(State), dtype=bool)  # a table is faster than np.isin
        wanted[list(states)] = True
        return np.flatnonzero(wanted[self.state])

    @property
    def probed(self) -> npt.NDArray[np.int64]:
        """Rows that were probed, in the order in which their results came."""
        return _view(self._probed, self._probed_count)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns of numbers."""
        return tuple(self._columns)

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the varied fields whose values are texts or truth values."""
        return tuple(self._names)

    def column(self, name: str) -> Floats:
        """Return a column, float64 [H], NaN where there is no number; all NaN if unknown.

        Args:
            name: of a varied field or a measure. A measure during training is `NAME@FRACTION`.
                Further columns: `fraction`, the share of training after which a trial was last
                looked at; `device_seconds`, what the trial has taken so far; `look_seconds`,
                what it had taken at that look; `chance`, the probability that a stopped trial
                is the best, as the rule gave it.
        """
        if name not in self._columns:
            return np.full(len(self), np.nan)
        return _view(self._columns[name], len(self))

    def names(self, field: str) -> Names:
        """Return the values of a field that are names, str [H]; "" where there is none.

        A truth value is `true` or `false`.

        Args:
            field: one of `named`, for instance `method.name`; all "" if unknown.
        """
        column = np.full(len(self), "", dtype=object)
        for row, name in self._names.get(field, {}).items():
            column[row] = name
        return column

    def point(self, row: int) -> dict[str, float | str]:
        """Return the varied fields of one candidate: numbers, and names where they are none."""
        point: dict[str, float | str] = {}
        for name in self.varied:
            if not math.isnan(value := float(self._columns[name][row])):
                point[name] = value
        for name, values in self._names.items():
            if row in values:
                point[name] = values[row]
        return point

    def row(self, trial_id: str) -> int:
        """Return the row of a trial; KeyError if there is none."""
        return self._index[trial_id]

    def state_of(self, trial_id: str) -> State:
        """Return the state of one trial; KeyError if there is none."""
        return State(int(self._state[self._index[trial_id]]))

    def count(self, *states: State) -> int:
        """Return how many candidates are in any of these states."""
        return sum(self._counts[state] for state in states)

    def verdicts(self, rows: Iterable[int], action: Action, reason: str) -> tuple[Verdict, ...]:
        """Return the same verdict for each of some rows."""
        return tuple(
            Verdict(trial_id=self.trial_ids[row], action=action, reason=reason) for row in rows
        )

    def fold(self, event: Event) -> None:
        """Take in one event; events come in order of `seq`.

        Raises:
            StudyError: the event is about a trial that no earlier event added.
        """
        known = isinstance(event, CandidateAdded) or trial_of(event) in self._index
        if isinstance(event, TrialEvent) and not known:
            raise StudyError(unknown_trial(event))
        self.seq, self.clock = event.seq, event.time
        if not isinstance(event, SessionBegan | ZoneMoved):
            self.arrived = None
        match event:
            case Observed():
                self._observe(event.trial_id, event.observation)
            case CandidateAdded():
                self._add(event.trial_id, event.point)
                self.closed = False
            case TrialStarted():
                self._start(event.trial_id)
                self.closed = False
            case Decided():
                self._decide(event.trial_id, event.action)
                if event.chance is not None:
                    self._put(self._index[event.trial_id], [("chance", event.chance)])
            case ZoneMoved():
                self.zone = event.zone
            case TrialFailed(final=True):
                self._before_failure[event.trial_id] = self.state_of(event.trial_id)
                self._set(event.trial_id, State.FAILED)
            case Idled():
                self.closed = True
            case BudgetChanged():
                self.closed = False

    def _start(self, trial_id: str) -> None:
        """Begin a candidate, or take up a trial that failed, with more retries, where it was."""
        state = self.state_of(trial_id)
        if state == State.PENDING:
            self._set(trial_id, State.TRAINING)
        elif state == State.FAILED:
            before = self._before_failure.pop(trial_id, State.TRAINING)
            self._set(trial_id, State.PROBING if before == State.PROBING else State.TRAINING)

    def _add(self, trial_id: str, point: Mapping[str, Any]) -> None:
        if trial_id in self._index:
            return
        row = len(self.trial_ids)
        if row == len(self._state):
            self._state = np.concatenate([self._state, np.zeros_like(self._state)])
            self._columns = {
                name: np.concatenate([column, np.full_like(column, np.nan)])
                for name, column in self._columns.items()
            }
        self.trial_ids.append(trial_id)
        self._index[trial_id] = row
        self._counts[State.PENDING] += 1
        numbers = {name: value for name, value in point.items() if isinstance(value, int | float)}
        self.varied = tuple(dict.fromkeys((*self.varied, *numbers)))
        self._put(row, numbers.items())
        for name, value in point.items():
            if isinstance(value, str | bool):
                text = value if isinstance(value, str) else str(value).lower()
                self._names.setdefault(name, {})[row] = text

    def _observe(self, trial_id: str, observation: Observation) -> None:
        self.spent = self.spent + observation.cost
        row = self.latest = self._index[trial_id]
        if observation.stage == "tested":
            return
        before = float(np.nan_to_num(self.column("device_seconds")[row]))
        self._put(row, [("device_seconds", before + observation.cost.device_seconds)])
        if (why := observation.broken) is not None:
            self.broken[trial_id] = why
        at = ""
        if observation.stage != "pretrain":
            spent = before + observation.cost.device_seconds
            self._put(row, [("fraction", observation.fraction), ("look_seconds", spent)])
        if observation.stage in ("measured", "probed"):
            at = "" if observation.final else f"@{observation.fraction:g}"
            if at and observation.fraction not in self.fractions:
                self.fractions = tuple(sorted((*self.fractions, observation.fraction)))
        for measure in observation.measures:
            if measure.name == "test_accuracy":
                continue  # only a table for comparing rules has it; a rule never sees it
            if measure.value is not None:
                self._put(row, _values(measure, measure.value, at))
            images = measure.detail.get("images")
            if isinstance(images, int | float) and 0 < images < 2**53:
                self._put(row, [(f"{measure.name}_images", images)])
        if at:
            if self.state_of(trial_id) == State.TRAINING:
                self.arrived = row
            return
        if observation.stage == "measured":
            self._set(trial_id, State.WAITING)
        elif observation.stage == "probed":
            again = self.state_of(trial_id) == State.PROBED
            self._set(trial_id, State.PROBED)
            if not again and not math.isnan(self.column("accuracy")[row]):
                self._probe(row)

    def _decide(self, trial_id: str, action: Action) -> None:
        ended = self.state_of(trial_id) >= State.WAITING
        verdicts = {
            "continue": State.PROBING if ended else State.TRAINING,
            "hold": State.HELD if ended else State.PAUSED,
            "stop": State.STOPPED,
        }
        self._set(trial_id, verdicts[action])

    def _set(self, trial_id: str, state: State) -> None:
        row = self._index[trial_id]
        self._counts[self._state[row]] -= 1
        self._counts[state] += 1
        self._state[row] = state
        if state.final:
            self.broken.pop(trial_id, None)
        if state in (State.WAITING, State.HELD):
            self._waiting.add(row)
        else:
            self._waiting.discard(row)
        if state == State.WAITING:
            self._unanswered.add(row)
        else:
            self._unanswered.discard(row)

    def _probe(self, row: int) -> None:
        if self._probed_count == len(self._probed):
            self._probed = np.concatenate([self._probed, np.zeros_like(self._probed)])
        self._probed[self._probed_count] = row
        self._probed_count += 1

    def _put(self, row: int, values: Iterable[tuple[str, Any]]) -> None:
        for name, value in values:
            if name not in self._columns:
                self._columns[name] = np.full(len(self._state), np.nan)
            self._columns[name][row] = float(value)


def _view(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    view = array[:length]
    view.flags.writeable = False
    return view


def _values(measure: Measure, value: float, at: str) -> list[tuple[str, float]]:
    """Return the columns of a measure, and their values.

    The column `accuracy` holds what the study maximises (`probe.metric`). If that is another
    measure of the probe, its interval goes into columns of its own.
    """
    name = measure.detail.get("maximised") if measure.name == "accuracy" else None
    if name is None or (found := measures_of_probe(measure.detail).get(name)) is None:
        return [(measure.name + at, value)]
    ends = ("accuracy", "accuracy_lo", "accuracy_hi")
    return [(end + at, number) for end, number in zip(ends, found, strict=True)]
