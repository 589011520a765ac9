"""A log's verdicts, made anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sweep.config.study import StudyConfig
from sweep.core.events import Decided, Event, SessionBegan, ZoneMoved
from sweep.replay.simulate import simulate
from sweep.replay.verify import verify
from sweep.rules import RULES, Rule
from tests.landscapes import hump


def rule(name: str, **fields: Any) -> Rule:
    return RULES[name](**fields)


def rule_of(name: str) -> Rule:
    return rule(name) if name == "random" else rule(name, round=4)


def played_events(name: str) -> list[Event]:
    order = np.random.default_rng(3).permutation(30).tolist()
    study, _ = simulate(hump(30), rule_of(name), order, parallel=3)
    return list(study.events())


@pytest.mark.parametrize("name", ["goldilocks", "paper", "blocks", "random"])
def test_every_verdict_of_a_log_is_reproduced(name: str) -> None:
    events = played_events(name)
    said = verify(events, rule_of(name), StudyConfig())
    assert said.difference is None
    assert said.verdicts == sum(isinstance(event, Decided | ZoneMoved) for event in events)


def test_the_first_verdict_that_differs_is_named() -> None:
    events = played_events("paper")
    stop = next(e for e in events if isinstance(e, Decided) and e.action == "stop")
    seq = stop.seq
    events[seq] = replace(stop, action="hold")
    said = verify(events, rule("paper", round=4), StudyConfig())
    assert said.difference is not None
    assert f"event {seq} of the log" in said.difference


def test_another_rule_does_not_reproduce_a_log() -> None:
    assert verify(played_events("paper"), rule("all"), StudyConfig()).difference is not None


def test_a_verdict_that_a_crash_cut_off_comes_again_after_the_session() -> None:
    events = played_events("paper")
    stop = next(e for e in events if isinstance(e, Decided) and e.action == "stop")
    seq = stop.seq
    before = events[:seq]  # the observation is in the log, its verdict is not
    session = SessionBegan(seq=seq, time=before[-1].time, workers=3)
    verdict = replace(stop, seq=seq + 1)
    said = verify([*before, session, verdict], rule("paper", round=4), StudyConfig())
    assert said.difference is None
