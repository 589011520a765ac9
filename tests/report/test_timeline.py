from __future__ import annotations

from dataclasses import replace

from sweep.core.events import Decided, Event, Observed, SessionBegan, TrialFailed, TrialStarted
from sweep.core.failures import Failure
from sweep.core.records import Cost, Observation, Stage, Zone
from sweep.report.timeline import Timeline, timeline


def at(*events: tuple[float, Event]) -> Timeline:
    return timeline(replace(event, seq=seq, time=t) for seq, (t, event) in enumerate(events))


def start(trial_id: str, attempt: int = 1) -> Event:
    return TrialStarted(trial_id=trial_id, attempt=attempt)


def work(trial_id: str, stage: Stage, seconds: float, fraction: float = 1.0) -> Event:
    cost = Cost(wall_seconds=seconds, device_seconds=seconds)
    return Observed(
        trial_id=trial_id,
        observation=Observation(stage=stage, step=1, fraction=fraction, cost=cost),
    )


def hold(trial_id: str) -> Event:
    return Decided(trial_id=trial_id, action="hold", reason="", zone=Zone(), answers_seq=0)


def segments(made: Timeline) -> list[tuple[int, str, float, float]]:
    return [(s["lane"], s["kind"], s["began"], s["ended"]) for s in made.segments]


def test_a_worker_trains_probes_and_idles_and_a_trial_is_held_and_resumed() -> None:
    made = at(
        (100.0, SessionBegan()),
        (101.0, start("a")),
        (110.0, work("a", "pretrain", 8.0, 0.5)),
        (112.0, work("a", "probed", 2.0, 0.5)),
        (112.0, hold("a")),
        (115.0, start("a", 2)),
        (120.0, work("a", "trained", 5.0)),
    )
    assert segments(made) == [
        (0, "waiting", 1.0, 2.0),
        (0, "training", 2.0, 10.0),
        (0, "probing", 10.0, 12.0),
        (0, "idle", 12.0, 15.0),
        (0, "training", 15.0, 20.0),
    ]
    assert made.held == [{"at": 12.0, "count": 1}, {"at": 15.0, "count": 0}]
    assert [(m["what"], m["at"]) for m in made.moments] == [("resumed", 15.0)]


def test_trials_at_the_same_time_have_lanes_of_their_own() -> None:
    made = at((0.0, SessionBegan()), (0.0, start("a")), (0.0, start("b")),
              (4.0, work("b", "trained", 4.0)), (5.0, work("a", "trained", 5.0)))  # fmt: skip
    assert [(s["trial_id"], s["lane"]) for s in made.segments] == [("b", 1), ("a", 0)]


def test_a_failed_attempt_is_marked() -> None:
    failed = TrialFailed(trial_id="a", failure=Failure(error="E", cause="hang"), final=True)
    made = at((0.0, SessionBegan()), (1.0, start("a")), (9.0, failed))
    assert segments(made) == [(0, "failed", 1.0, 9.0)]
    assert [(m["what"], m["at"]) for m in made.moments] == [("failed", 9.0)]


def test_the_time_between_two_drivers_is_not_idle() -> None:
    made = at((0.0, SessionBegan()), (0.0, start("a")), (3.0, work("a", "pretrain", 3.0, 0.1)),
              (900.0, SessionBegan()), (901.0, start("a", 2)),
              (905.0, work("a", "trained", 4.0)))  # fmt: skip
    assert segments(made) == [(0, "training", 0.0, 3.0), (0, "training", 901.0, 905.0)]
