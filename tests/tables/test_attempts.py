"""The table `attempts`, from events to rows, whole and in parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from sweep.core.events import (
    CandidateAdded,
    Decided,
    Event,
    Observed,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    TrialFailed,
    TrialStarted,
)
from sweep.core.failures import NODE_LOST, Failure
from sweep.core.records import Observation, Outcome, Zone
from sweep.tables.arrow import Stale
from sweep.tables.attempts import DRIVER_ENDED, Attempts

TRIALS = ("a", "b", "c", "d", "e")


def numbered(*events: Event) -> list[Event]:
    began = StudyBegan(
        name="s", config={}, config_digest="", data_digest="", created=0.0, commit=None, versions={}
    )
    added = [CandidateAdded(trial_id=t, point={}, config={}, index=i) for i, t in enumerate(TRIALS)]
    session = SessionBegan(host="h", runner="ray")
    every: list[Event] = [began, session, *added, *events]
    return [replace(event, seq=seq, time=100.0 + seq) for seq, event in enumerate(every)]


def started(trial_id: str, attempt: int = 1) -> TrialStarted:
    return TrialStarted(trial_id=trial_id, attempt=attempt)


def decided(trial_id: str, action: Any) -> Decided:
    return Decided(trial_id=trial_id, action=action, reason="", zone=Zone(), answers_seq=0)


def observed(trial_id: str, stage: Any, fraction: float = 1.0, **detail: Any) -> Observed:
    observation = Observation(
        stage=stage, step=int(10 * fraction), fraction=fraction, detail=detail
    )
    return Observed(trial_id=trial_id, attempt=1, observation=observation)


def failed(trial_id: str, cause: str) -> TrialFailed:
    return TrialFailed(trial_id=trial_id, failure=Failure(error="E", cause=cause), final=False)


def table(events: list[Event], before: pa.Table | None = None) -> pa.Table:
    attempts = Attempts(before, "s")
    for event in events:
        attempts.add(event)
    return attempts.table()


def outcomes(events: list[Event]) -> list[tuple[str, int, str, str | None]]:
    names = ("trial_id", "attempt", "outcome", "cause")
    rows = table(events).select(names).to_pylist()
    return [tuple(row[name] for name in names) for row in rows]


STORY = numbered(
    started("a"),
    observed("a", "trained", device="gpu", node="n1"),
    observed("a", "probed", 0.5),
    observed("a", "probed"),
    started("b"),
    decided("b", "hold"),
    started("b", 2),
    decided("b", "stop"),
    started("c"),
    failed("c", "out of memory"),
    started("c", 2),
    failed("c", NODE_LOST),
    started("d"),
    observed("a", "tested"),
    SessionBegan(host="h", runner="ray"),
    started("d", 2),
)


def test_each_outcome_of_an_attempt_is_named() -> None:
    assert outcomes(STORY) == [
        ("a", 1, "finished", None),
        ("b", 1, "paused", None),
        ("b", 2, "stopped", None),
        ("c", 1, "failed", "out of memory"),
        ("c", 2, "lost", NODE_LOST),
        ("d", 1, "lost", DRIVER_ENDED),
        ("d", 2, "running", None),
    ]


def test_times_are_timestamps_and_places_are_those_of_the_observations() -> None:
    rows = table(STORY).to_pylist()
    assert rows[0]["began"] == datetime.fromtimestamp(107.0, UTC)
    assert rows[0]["ended"] == datetime.fromtimestamp(110.0, UTC), "the test of the winner is later"
    assert (rows[0]["node"], rows[0]["device"]) == ("n1", "gpu")
    assert rows[5]["ended"] == datetime.fromtimestamp(120.0, UTC), "the driver's last event"
    assert rows[6]["ended"] is None


def test_the_end_of_a_study_ends_what_was_at_work() -> None:
    outcome = Outcome(
        winner=None, accuracy=None, interval=None, ties=(), zone=Zone(), probes_paid=0,
        probes_saved=0, reason="",
    )  # fmt: skip
    events = numbered(started("a"), StudyFinished(outcome=outcome))
    assert outcomes(events) == [("a", 1, "lost", DRIVER_ENDED)]


def test_a_trial_that_could_not_be_paused_goes_on() -> None:
    events = numbered(
        started("a"), decided("a", "hold"), decided("a", "continue"), observed("a", "probed")
    )
    assert outcomes(events) == [("a", 1, "finished", None)]


def test_a_table_continues_from_any_earlier_one_or_is_made_anew() -> None:
    whole = table(STORY)
    for known in range(len(STORY)):
        before = table(STORY[:known])
        try:
            continued = table(STORY[known:], before)
        except Stale:
            assert isinstance(STORY[known], SessionBegan)
            continue
        assert continued.equals(whole)


def test_an_earlier_table_does_not_say_when_a_driver_ended() -> None:
    with pytest.raises(Stale, match="when the last driver ended"):
        table([SessionBegan(host="h", runner="ray")], table(numbered(started("a"))))


def test_a_time_that_no_calendar_holds_is_null() -> None:
    events = [*numbered(), replace(started("a"), seq=99, time=1e140)]
    assert table(events)["began"].to_pylist() == [None]
