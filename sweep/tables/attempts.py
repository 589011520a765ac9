"""The table `attempts`: one row for each time that a worker took up a trial.

An attempt begins with `TrialStarted`. It ends with the trial's last result, with a verdict that
pauses or stops the trial, or with a failure. An attempt whose driver died ends as `lost`, at the
last event before the next driver. Like the other builders it is pure, and can continue from an
earlier table.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from sweep.core.events import (
    Decided,
    Event,
    Observed,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    TrialFailed,
    TrialStarted,
)
from sweep.core.failures import NODE_LOST
from sweep.core.records import Observation
from sweep.tables.arrow import Row, Stale, point_in_time, to_arrow
from sweep.tables.schemas import ATTEMPTS

DRIVER_ENDED = "driver ended"
"""The cause of an attempt that was at work when its driver ended."""
_ENDED_BY = {"hold": "paused", "stop": "stopped"}


class Attempts:
    """Builds the table; rows of `before` that cannot change any more stay as they are."""

    def __init__(self, before: pa.Table | None, study: str) -> None:
        rows = [] if before is None else before.to_pylist()
        self._study = study
        self._time: datetime | None = None  # of the event before
        self._rows: list[Row] = rows
        self._last = {row["trial_id"]: row for row in rows}  # trial_id -> its latest attempt

    def add(self, event: Event) -> None:
        time = point_in_time(event.time)
        match event:
            case TrialStarted():
                self._start(event, time)
            case Observed(observation=observation):
                self._observe(event.trial_id, observation, time)
            case Decided(action="hold" | "stop"):
                self._end(event.trial_id, time, _ENDED_BY[event.action])
            case TrialFailed(failure=failure):
                outcome = "lost" if failure.cause == NODE_LOST else "failed"
                self._end(event.trial_id, time, outcome, failure.cause)
            case SessionBegan():
                self._lose(self._time)
            case StudyFinished():
                self._lose(time)
            case StudyBegan():
                self._study = event.name
        self._time = time

    def table(self) -> pa.Table:
        return to_arrow(self._rows, ATTEMPTS)

    def _start(self, event: TrialStarted, time: datetime | None) -> None:
        self._end(event.trial_id, time, "lost")
        row: Row = {
            "study": self._study,
            "trial_id": event.trial_id,
            "attempt": event.attempt,
            "worker": event.worker,
            "began": time,
            "outcome": "running",
        }
        self._rows.append(row)
        self._last[event.trial_id] = row

    def _observe(self, trial_id: str, observation: Observation, time: datetime | None) -> None:
        row = self._last.get(trial_id)
        if row is None or observation.stage == "tested":  # the driver tests the winner at the end
            return
        for name in ("device", "node"):
            row[name] = observation.detail.get(name) or row.get(name)
        if row["outcome"] == "paused":  # the runner could not pause the trial, so it went on
            row["outcome"], row["ended"] = "running", None
        if observation.stage == "probed" and observation.final:
            self._end(trial_id, time, "finished")

    def _end(
        self, trial_id: str, time: datetime | None, outcome: str, cause: str | None = None
    ) -> None:
        row = self._last.get(trial_id)
        if row is not None and row["outcome"] == "running":
            row.update(outcome=outcome, ended=time, cause=cause)

    def _lose(self, time: datetime | None) -> None:
        """End every attempt that was at work when the driver ended.

        Raises:
            Stale: the time of the event before is not known.
        """
        if time is None and any(row["outcome"] == "running" for row in self._rows):
            raise Stale("an earlier table does not say when the last driver ended")
        for trial_id in self._last:
            self._end(trial_id, time, "lost", DRIVER_ENDED)
