"""The contract of every rule in `RULES`."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from sweep.core.errors import ConfigError
from sweep.core.history import State
from sweep.core.plugins import resolve
from sweep.rules import RULES, Rule
from tests.histories import measured, play, probed, study_of

SYNC = [pytest.param(name, sync, id=f"{name}-{sync}") for name in RULES for sync in (True, False)]


def rule_of(name: str, sync: bool) -> Rule:
    keys: dict[str, Any] = {"round": 4, "sync": sync, "probes": 5}
    declared = inspect.signature(RULES[name]).parameters
    return RULES[name](**{key: keys[key] for key in keys if key in declared})


@pytest.mark.parametrize(("name", "sync"), SYNC)
def test_the_same_history_gives_the_same_decision_and_is_not_changed(name: str, sync: bool) -> None:
    study = study_of(rule_of(name, sync), 9)
    rng = np.random.default_rng(0)
    for number in range(9):
        study.start(f"t{number}")
        action = study.observe(f"t{number}", measured(float(rng.uniform(0, 2))))
        before = study.history.state.copy()
        assert study.rule(study.history) == study.rule(study.history)
        assert (study.history.state == before).all()
        if action == "continue":
            study.observe(f"t{number}", probed(float(rng.uniform(0, 1))))


@pytest.mark.parametrize(("name", "sync"), SYNC)
def test_every_measured_trial_that_is_not_held_gets_a_verdict_and_no_trial_at_work_does(
    name: str, sync: bool
) -> None:
    study = study_of(rule_of(name, sync), 30)
    answered: list[set[str]] = []
    waiting: list[set[str]] = []
    unanswered: list[set[str]] = []
    rule = study.rule

    def recording_rule(history: object) -> object:
        decision = rule(study.history)
        ids = study.history.trial_ids
        unfinished = {ids[row] for row in study.history.rows(State.PENDING, State.PAUSED)}
        answered.append({verdict.trial_id for verdict in decision.verdicts} - unfinished)
        waiting.append({ids[row] for row in study.history.waiting})
        unanswered.append({ids[row] for row in study.history.unanswered})
        return decision

    study.rule = recording_rule  # type: ignore[assignment]
    rng = np.random.default_rng(1)
    play(study, list(rng.uniform(0, 2, 30)), list(rng.uniform(0, 1, 30)))
    for answers, wait, new in zip(answered, waiting, unanswered, strict=True):
        assert new <= answers <= wait


@pytest.mark.parametrize(("name", "sync"), SYNC)
def test_a_study_ends_with_no_trial_waiting(name: str, sync: bool) -> None:
    study = study_of(rule_of(name, sync), 30)
    rng = np.random.default_rng(2)
    alphas = [None if rng.random() < 0.2 else float(rng.uniform(0, 2)) for _ in range(30)]
    play(study, alphas, list(rng.uniform(0, 1, 30)))
    assert all(State(int(state)).final for state in study.history.state)


@pytest.mark.parametrize(("name", "probes"), [("all", 30), ("random", 5), ("none", 0)])
def test_the_baselines_probe_as_many_models_as_they_say(name: str, probes: int) -> None:
    study = study_of(rule_of(name, False), 30)
    rng = np.random.default_rng(3)
    order = play(study, list(rng.uniform(0, 2, 30)), list(rng.uniform(0, 1, 30)))
    assert len(order) == probes


def test_random_skips_collapsed_models() -> None:
    study = study_of(rule_of("random", False), 9)
    alphas = [None, None, 1.0, None, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert play(study, alphas, [0.5] * 9) == ["t2", "t4", "t5", "t6", "t7"]


def test_an_unknown_rule_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'papr' is not known\. Did you mean 'paper'"):
        resolve("The rule", "papr", RULES)
