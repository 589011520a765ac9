"""What each worker did and when: the segments of a timeline, from the events of a log. Pure.

The log does not name workers, so attempts are put into lanes: an attempt takes the lane that has
been free for the longest time. A lane stands for one worker as long as each runs one trial at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sweep.core.events import (
    Decided,
    Event,
    Observed,
    SessionBegan,
    StudyFinished,
    TrialFailed,
    TrialStarted,
)
from sweep.report.fields import Row

KIND_OF = {
    "pretrain": "training",
    "trained": "training",
    "measured": "measuring",
    "probed": "probing",
    "tested": "testing",
}


@dataclass(slots=True)
class _Attempt:
    lane: int
    number: int
    since: float
    begun: float


@dataclass(slots=True)
class Timeline:
    """Segments of workers' time, made event by event.

    Attributes:
        began: seconds since the epoch, of the first event.
        segments: rows with lane, trial_id, kind, attempt, began and ended (seconds since the
            beginning).
        moments: rows with lane, trial_id, what (`failed`, `resumed`) and at.
        held: rows with at and count: how many trials wait paused or held from then on.
    """

    began: float | None = None
    last: float = 0.0
    segments: list[Row] = field(default_factory=list)
    moments: list[Row] = field(default_factory=list)
    held: list[Row] = field(default_factory=list)
    _free: dict[int, float] = field(default_factory=dict)
    _open: dict[str, _Attempt] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Take in one event."""
        if self.began is None:
            self.began = event.time
        at = event.time - self.began
        match event:
            case TrialStarted():
                self._start(event, at)
            case Observed(observation=observation):
                kind, seconds = KIND_OF[observation.stage], observation.cost.wall_seconds
                self._work(event.trial_id, kind, at, seconds)
                if observation.stage == "probed" and observation.final:
                    self._end(event.trial_id, at)
            case Decided(action="hold" | "stop"):
                self._end(event.trial_id, at)
                self._hold(event.trial_id, at, held=event.action == "hold")
            case TrialFailed():
                self._fail(event.trial_id, at)
            case SessionBegan():
                for trial_id in list(self._open):
                    self._end(trial_id, self.last)
                self._free.clear()
            case StudyFinished():
                for trial_id in list(self._open):
                    self._end(trial_id, at)
        self.last = at

    def _start(self, event: TrialStarted, at: float) -> None:
        self._end(event.trial_id, at)
        lane = min(self._free, key=lambda lane: self._free[lane], default=-1)
        if lane < 0:
            taken = {attempt.lane for attempt in self._open.values()}
            lane = next(number for number in range(len(taken) + 1) if number not in taken)
        else:
            free = self._free.pop(lane)
            self._segment(lane, "", "idle", 0, free, at)
        self._open[event.trial_id] = _Attempt(lane, event.attempt, at, at)
        if event.attempt > 1:
            row = {"lane": lane, "trial_id": event.trial_id, "what": "resumed", "at": at}
            self.moments.append(row)
        self._hold(event.trial_id, at, held=False)

    def _work(self, trial_id: str, kind: str, at: float, seconds: float) -> None:
        attempt = self._open.get(trial_id)
        if attempt is None:
            if kind == "testing":  # the driver tests the winner after all workers have ended
                self._segment(min(self._free, default=0), trial_id, kind, 0, at - seconds, at)
            return
        start = max(attempt.since, at - seconds)
        self._segment(attempt.lane, trial_id, "waiting", attempt.number, attempt.since, start)
        self._segment(attempt.lane, trial_id, kind, attempt.number, start, at)
        attempt.since = at

    def _fail(self, trial_id: str, at: float) -> None:
        if (attempt := self._open.get(trial_id)) is not None:
            self._segment(attempt.lane, trial_id, "failed", attempt.number, attempt.since, at)
            row = {"lane": attempt.lane, "trial_id": trial_id, "what": "failed", "at": at}
            self.moments.append(row)
            attempt.since = at
        self._end(trial_id, at)

    def _end(self, trial_id: str, at: float) -> None:
        if (attempt := self._open.pop(trial_id, None)) is not None:
            self._segment(attempt.lane, trial_id, "waiting", attempt.number, attempt.since, at)
            self._free[attempt.lane] = at

    def _hold(self, trial_id: str, at: float, *, held: bool) -> None:
        before = len(self._waiting)
        (self._waiting.add if held else self._waiting.discard)(trial_id)
        if len(self._waiting) != before:
            self.held.append({"at": at, "count": len(self._waiting)})

    def _segment(
        self, lane: int, trial_id: str, kind: str, attempt: int, began: float, ended: float
    ) -> None:
        """Add a segment, or lengthen the lane's last one if nothing else differs."""
        began = max(0.0, began)
        if ended - began <= SHORTEST_SECONDS:
            return
        last = next((row for row in reversed(self.segments[-16:]) if row["lane"] == lane), None)
        same = last is not None and (last["trial_id"], last["kind"]) == (trial_id, kind)
        if last is not None and same and began - last["ended"] < 0.5:
            last["ended"] = ended
            return
        self.segments.append(
            {"lane": lane, "trial_id": trial_id, "kind": kind, "attempt": attempt,
             "began": began, "ended": ended}
        )  # fmt: skip


SHORTEST_SECONDS = 0.05
"""Shorter segments are left out: no picture shows them."""


def timeline(events: Iterable[Event]) -> Timeline:
    """Return the timeline of a log's events."""
    made = Timeline()
    for event in events:
        made.add(event)
    return made
