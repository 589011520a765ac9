"""A real study with the rule race, in process: it ends as its replay does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.config.study import StudyConfig
from sweep.core.events import Decided, Event, Observed, StudyFinished, Suggested, TrialStarted
from sweep.core.history import History, State
from sweep.core.outcome import outcome
from sweep.launch import launch
from sweep.log.study_folder import read_log
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load, of_events
from sweep.replay.simulate import simulate
from sweep.replay.verify import verify_study
from sweep.rules.race import Race
from sweep.storage.location import locate
from tests.small import small_study

LOOKS = (0.25, 0.5)


def tiny_study(*overrides: str) -> StudyConfig:
    """Return a study of 15 models that train in a moment and are looked at twice on the way."""
    return small_study(
        "train.epochs=6",
        "train.batch=16",
        f"probe.at={list(LOOKS)}",
        "criteria.images=64",
        "criteria.alpha.first=1",
        "criteria.alpha.last=10",
        *overrides,
        data={"name": "tests.tiny:clusters"},
        encoder={"name": "tests.tiny:layer"},
        space={
            "axes": {
                "d": [4, 16, 64],
                "lambd": [0.0005, 0.005, 0.05, 0.5, 5.0],
            }
        },
    )


RACE = ("rule.name=race", "rule.prior=none")


def decisions(events: Iterable[Event]) -> list[tuple[str | None, str]]:
    """Return the beginnings, the looks and the verdicts of a log, in order."""
    said: list[tuple[str | None, str]] = []
    for event in events:
        match event:
            case Suggested() if event.begin:
                said.append((event.begin, "begin"))
            case Decided():
                said.append((event.trial_id, event.action))
            case Observed() if event.observation.stage == "probed":
                said.append((event.trial_id, f"look {event.observation.fraction}"))
    return said


def with_costs_of(live: Landscape, table: Landscape) -> Landscape:
    """Return a complete table with the costs of a live run, where that has any."""
    costs = {
        (candidate.trial_id, seen.stage, seen.fraction): seen.cost
        for candidate in live.candidates
        for seen in candidate.seen
    }
    return replace(
        table,
        candidates=tuple(
            replace(
                candidate,
                seen=tuple(
                    replace(
                        seen,
                        cost=costs.get((candidate.trial_id, seen.stage, seen.fraction), seen.cost),
                    )
                    for seen in candidate.seen
                ),
            )
            for candidate in table.candidates
        ),
    )


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("live")
    launch.run(tiny_study(*RACE), results=results, warn=lambda sentence: None)
    return results / "small"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    results = tmp_path_factory.mktemp("complete")
    launch.run(tiny_study("rule.name=all"), results=results, warn=lambda sentence: None)
    return load(results / "small").complete()


def test_a_study_in_process_decides_as_its_replay(live: Path, complete: Landscape) -> None:
    events = read_log(locate(live))
    table = with_costs_of(of_events("live", events), complete)
    study, _ = simulate(table, Race(), range(len(table)), parallel=1, online=True)
    assert decisions(events) == decisions(study.events())
    finish = events[-1]
    assert isinstance(finish, StudyFinished)
    assert finish.outcome.winner == outcome(study.history, "").winner is not None


def test_trials_pause_and_resume_and_most_do_not_end(live: Path) -> None:
    events = read_log(locate(live))
    starts = Counter(event.trial_id for event in events if isinstance(event, TrialStarted))
    assert max(starts.values()) > 1
    ended = [e for e in events if isinstance(e, Observed) and e.observation.stage == "trained"]
    assert len(ended) < 15
    for journal in live.glob("trials/*/journal.jsonl"):
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        assert max(Counter((line["stage"], line["step"]) for line in lines).values()) == 1


def test_the_log_of_a_race_is_verified(live: Path) -> None:
    said = verify_study(locate(live))
    assert said.difference is None
    events = read_log(locate(live))
    assert said.verdicts == sum(isinstance(event, Decided | Suggested) for event in events)


@pytest.mark.parametrize("budget", ["budget.trials=5", "budget.probes=1"])
def test_a_larger_budget_goes_on_with_the_trials_that_wait(budget: str, tmp_path: Path) -> None:
    first = launch.run(tiny_study(*RACE, budget), results=tmp_path, warn=lambda sentence: None)
    assert first.winner is not None
    assert "is spent" in first.reason
    folder = tmp_path / "small"
    assert states(folder)[State.PENDING] > 0
    before = decisions(read_log(locate(folder)))
    name = budget.partition("=")[0]
    last = launch.resume(folder, overrides=[f"{name}=40"], warn=lambda sentence: None)
    assert last.reason == "every candidate is decided"
    assert verify_study(locate(folder)).difference is None
    after = decisions(read_log(locate(folder)))
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert all(state.final for state in states(folder))


def states(folder: Path) -> Counter[State]:
    """Return how many candidates are in each state at the end of a log."""
    history = History()
    for event in read_log(locate(folder)):
        history.fold(event)
    return Counter(State(int(state)) for state in history.state)


def test_measures_on_the_way_change_no_decision(live: Path, tmp_path: Path) -> None:
    launch.run(
        tiny_study(*RACE, "criteria.at=[0.1,0.25]"), results=tmp_path, warn=lambda sentence: None
    )
    events = read_log(locate(tmp_path / "small"))
    held: dict[str, Any] = {}
    last = dict[str, Observed]()
    for event in events:
        match event:
            case Observed():
                last[event.trial_id] = event
            case Decided(action="hold"):
                held[event.trial_id] = last[event.trial_id].observation.stage
    assert set(held.values()) == {"probed"}
    assert verify_study(locate(tmp_path / "small")).difference is None
