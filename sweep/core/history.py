"""What a rule may see: the fold of a study's events into states and columns.

One row per candidate, in the order in which they wait. Columns are numpy views that
cannot be written. There is no column of test accuracy, so no rule can read it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.core.errors import StudyError, unknown_trial
from sweep.core.records import Cost, Event, Observation, Zone

Floats = npt.NDArray[np.float64]

ZONE = tuple(field.name for field in fields(Zone))


class State(IntEnum):
    """Where a candidate stands, as far as the log tells."""

    PENDING = 0  # not begun
    TRAINING = 1  # begun, not measured
    PAUSED = 2  # told to wait in the middle of its training
    WAITING = 3  # measured, no verdict yet
    HELD = 4  # measured, told to wait
    PROBING = 5  # told to go on, not probed yet
    PROBED = 6
    STOPPED = 7
    FAILED = 8

    @property
    def final(self) -> bool:
        """True if nothing more will come of it."""
        return self >= State.PROBED


class History:
    """Candidates in order, with their state, their measures and what was spent.

    Args:
        workers: M, trials at work at once.

    Attributes:
        seq: of the last event folded in; -1 before the first.
        clock: that event's time, seconds since the epoch.
        zone: the last that the rule named.
        closed: nothing runs and nothing more may start, so waiting is in vain.
        spent: seconds of all observations.
        broken: trial_id -> why, for models that must be stopped whatever the rule says.
        probes_left: probes that the budget still allows; None is without limit.
        latest: the row that was observed last; None before the first.
        varied: names of the fields that the candidates differ in, where they are numbers.
        fractions: of training, below 1, at which trials were looked at, ascending. What was
            seen there is in columns `NAME@FRACTION`, for instance `alpha@0.25`.
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
        self.trial_ids: list[str] = []
        self._index: dict[str, int] = {}
        self._state = np.zeros(16, dtype=np.int8)
        self._columns: dict[str, Floats] = {}
        self._counts = [0] * len(State)
        self._probed = np.zeros(16, dtype=np.int64)
        self._probed_count = 0
        self._waiting: set[int] = set()
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
        """Rows that are measured and want a verdict (WAITING or HELD), in order."""
        return sorted(self._waiting)

    @property
    def unanswered(self) -> list[int]:
        """Rows that are measured and have no verdict yet (WAITING), in order."""
        return sorted(self._unanswered)

    def rows(self, *states: State) -> npt.NDArray[np.int64]:
        """Return the rows in any of these states, in order."""
        wanted = np.zeros(len(State), dtype=bool)  # a table is faster than np.isin
        wanted[list(states)] = True
        return np.flatnonzero(wanted[self.state])

    @property
    def probed(self) -> npt.NDArray[np.int64]:
        """Rows that were probed, in the order in which results came."""
        return _view(self._probed, self._probed_count)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns there are."""
        return tuple(self._columns)

    def column(self, name: str) -> Floats:
        """Return a column, float64 [H], NaN where there is no number; all NaN if unknown.

        Args:
            name: of a varied field or a measure; with `@FRACTION` of a measure on the way;
                `fraction`, the part of training after which a trial was last looked at;
                `device_seconds`, what it has taken so far; `chance`, with which a stopped one
                was thought to be the best.
        """
        if name not in self._columns:
            return np.full(len(self), np.nan)
        return _view(self._columns[name], len(self))

    def row(self, trial_id: str) -> int:
        """Return the row of a trial; KeyError if there is none."""
        return self._index[trial_id]

    def state_of(self, trial_id: str) -> State:
        """Return where one trial stands."""
        return State(int(self._state[self._index[trial_id]]))

    def count(self, *states: State) -> int:
        """Return how many candidates are in any of these states."""
        return sum(self._counts[state] for state in states)

    def fold(self, event: Event) -> None:
        """Take one event in; events come in order of `seq`."""
        if event.trial_id and event.kind != "candidate" and event.trial_id not in self._index:
            raise StudyError(unknown_trial(event))
        self.seq, self.clock = event.seq, event.time
        payload = event.payload
        match event.kind:
            case "candidate":
                self._add(event.trial_id, payload.get("point", {}))
                self.closed = False
            case "start":
                if self.state_of(event.trial_id) == State.PENDING:
                    self._set(event.trial_id, State.TRAINING)
                self.closed = False
            case "observation":
                self._observe(event.trial_id, Observation.from_json(payload))
            case "verdict":
                self._decide(event.trial_id, payload["action"])
                if (chance := payload.get("chance")) is not None:
                    self._put(self._index[event.trial_id], [("chance", chance)])
            case "zone":
                self.zone = Zone(**{key: payload[key] for key in ZONE if key in payload})
            case "failure":
                if payload["final"]:
                    self._set(event.trial_id, State.FAILED)
            case "idle":
                self.closed = True
            case "budget":
                self.closed = False
            case "study" | "session" | "dropped" | "finish":
                pass

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

    def _observe(self, trial_id: str, seen: Observation) -> None:
        self.spent = self.spent + seen.cost
        row = self.latest = self._index[trial_id]
        if seen.stage == "tested":
            return
        before = float(np.nan_to_num(self.column("device_seconds")[row]))
        self._put(row, [("device_seconds", before + seen.cost.device_seconds)])
        if (why := seen.broken) is not None:
            self.broken[trial_id] = why
        at = ""
        if seen.stage != "pretrain":
            self._put(row, [("fraction", seen.fraction)])
        if seen.stage in ("measured", "probed"):
            at = "" if seen.final else f"@{seen.fraction:g}"
            if at and seen.fraction not in self.fractions:
                self.fractions = tuple(sorted((*self.fractions, seen.fraction)))
        for measure in seen.measures:
            if measure.name == "test_accuracy":
                continue  # a table for comparing rules has it; a rule never does
            if measure.value is not None:
                self._put(row, [(measure.name + at, measure.value)])
            images = measure.detail.get("images")
            if isinstance(images, int | float) and 0 < images < 2**53:
                self._put(row, [(f"{measure.name}_images", images)])
        if at:
            return
        if seen.stage == "measured":
            self._set(trial_id, State.WAITING)
        elif seen.stage == "probed":
            again = self.state_of(trial_id) == State.PROBED
            self._set(trial_id, State.PROBED)
            if not again and not math.isnan(self.column("accuracy")[row]):
                self._probe(row)

    def _decide(self, trial_id: str, action: str) -> None:
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
