"""The rule `auto`: a pure choice, kept in the log's first event, and never made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.cli import app
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError, StudyError
from sweep.core.events import Observed, StudyBegan
from sweep.launch import launch
from sweep.launch.auto import (
    DEAR,
    END_LOOKS,
    FIRST_STEP,
    LOOKS,
    LOOKS_WITH_A_PRIOR,
    Facts,
    affordable,
    decide,
    served,
)
from sweep.launch.preflight import doubts, prepare
from sweep.log.study_folder import read_log
from sweep.replay.verify import verify_study
from sweep.storage.location import Location, locate
from tests.small import small_study

STEPS = 1000


def facts(**changed: Any) -> Facts:
    """Return the facts of a study whose looks take a hundredth of a trial."""
    timed = {"steps": STEPS, "fewest_steps": STEPS, "step_seconds": 0.1, "look_seconds": 1.0}
    return Facts(**{"candidates": 24, **timed, **changed})


@pytest.mark.parametrize(
    ("changed", "rule", "keys", "probe_at", "criteria_at"),
    [
        ({}, "race", {}, LOOKS, ()),
        ({"prior": True}, "race", {}, LOOKS_WITH_A_PRIOR, ()),
        ({"look_seconds": 0.1}, "race", {}, LOOKS, ()),
        ({"look_seconds": 19.9}, "race", {}, (0.25, 0.5, 0.75), ()),
        ({"look_seconds": 20.0}, "race", {"labels": "end"}, (), END_LOOKS[:1]),
        ({"look_seconds": 500.0}, "race", {"labels": "end"}, (), END_LOOKS[:1]),
        ({"look_seconds": 500.0, "criteria_at": (0.3,)}, "race", {"labels": "end"}, (), (0.3,)),
        ({"look_seconds": 500.0, "probe_at": (0.1,)}, "race", {}, (0.1,), ()),
        ({"probe_at": (0.1,), "criteria_at": (0.2,)}, "race", {}, (0.1,), (0.2,)),
        ({"per_model": True}, "race", {"labels": "end"}, (), END_LOOKS[:1]),
        ({"given": "end"}, "race", {"labels": "end"}, (), END_LOOKS[:1]),
        ({"given": "looks", "look_seconds": None}, "race", {}, LOOKS, ()),
        ({"fewest_steps": 100}, "race", {}, (0.125, 0.25, 0.5, 0.75), ()),
        ({"fewest_steps": 20, "per_model": True}, "race", {"labels": "end"}, (), (0.5,)),
        ({"fewest_steps": 18}, "goldilocks", {}, (), ()),
        ({"fewest_steps": 18, "per_model": True}, "goldilocks", {}, (), ()),
        ({"fewest_steps": 1}, "goldilocks", {}, (), ()),
        ({"own_trial": True}, "goldilocks", {}, (), ()),
        ({"own_trial": True, "candidates": 1}, "goldilocks", {}, (), ()),
        ({"proposer": True}, "goldilocks", {}, (), ()),
        ({"proposer": True, "criteria_at": (0.5,)}, "goldilocks", {}, (), (0.5,)),
        ({"proposer": True, "criteria": ("rankme",)}, "all", {}, (), ()),
        ({"look_seconds": 20.0, "criteria": ("alpha",)}, "goldilocks", {}, (), ()),
        ({"per_model": True, "criteria": ("rankme",)}, "all", {}, (), ()),
        ({"criteria": ("rankme",)}, "race", {}, LOOKS, ()),
        ({"labels": False}, "none", {}, (), ()),
        ({"labels": False, "proposer": True}, "none", {}, (), ()),
        ({"candidates": 3}, "all", {}, (), ()),
        ({"candidates": 4}, "race", {}, LOOKS, ()),
    ],
)
def test_the_choice_follows_from_the_facts_alone(
    changed: dict[str, Any],
    rule: str,
    keys: dict[str, Any],
    probe_at: tuple[float, ...],
    criteria_at: tuple[float, ...],
) -> None:
    choice = decide(facts(**changed))
    assert (choice.rule, choice.keys) == (rule, keys)
    assert (choice.probe_at, choice.criteria_at) == (probe_at, criteria_at)
    assert choice.why
    assert len(choice.line.splitlines()) == 1


def test_only_an_unclear_choice_is_timed() -> None:
    for changed in (
        {"own_trial": True},
        {"labels": False},
        {"proposer": True},
        {"per_model": True},
        {"given": "end"},
        {"fewest_steps": 18},
        {"candidates": 3},
    ):
        assert not facts(**changed).unclear
        untimed = {**changed, "step_seconds": None, "look_seconds": None}
        assert decide(facts(**untimed)).rule == decide(facts(**changed)).rule
    assert facts().unclear


def test_looks_have_steps_of_their_own_and_enough_training_before_them() -> None:
    for steps in range(200):
        looks = served(LOOKS, steps)
        at = [round(fraction * steps) for fraction in looks]
        assert at == sorted(set(at))
        assert all(FIRST_STEP <= step < steps for step in at)
    assert served(LOOKS, 10_000) == LOOKS
    assert affordable(LOOKS, 0.0) == LOOKS
    for share in (0.01, 0.03, 0.1, DEAR, 0.7):
        kept = affordable(LOOKS, share)
        assert all(b - a >= share for a, b in zip((0.0, *kept), kept, strict=False))
    assert affordable((0.1,), 0.15) == (0.1,)
    assert affordable((), 0.15) == ()


AUTO: dict[str, Any] = {"rule": {}, "train": {"epochs": 1, "batch": 24, "precision": "float32"}}
"""29 steps, so that a look can be served."""


def auto_study(*overrides: str, **fields: Any) -> StudyConfig:
    return small_study(*overrides, **{**AUTO, **fields})


def began(folder: Location) -> StudyBegan:
    first = read_log(folder)[0]
    assert isinstance(first, StudyBegan)
    return first


def test_a_config_without_a_rule_is_auto_and_its_keys_are_those_of_race() -> None:
    assert StudyConfig().rule.name == "auto"
    sentence = r'rule\.round is no key of race\. .* rule\.name is "auto", which takes the keys of'
    with pytest.raises(ConfigError, match=sentence):
        prepare(auto_study("rule.round=4"))
    with pytest.raises(ConfigError, match=r"rule\.focus is 2: .* less than or equal to 1"):
        prepare(auto_study("rule.focus=2"))


def test_what_cannot_be_raced_gets_another_rule_and_says_so() -> None:
    short = prepare(auto_study("rule.focus=0.25", "train.batch=128"))
    assert short.config.rule.name == "goldilocks"
    assert short.config.rule.parameters["eager"] is False
    assert short.choice is not None
    assert "a trial of 5 steps is too short" in short.choice.line
    assert any("rule.focus has no effect: it is a key of race" in s for s in doubts(short))
    few = prepare(auto_study("space.axes.d=[8]", "space.axes.lambd=[0.1]"))
    assert few.config.rule.name == "all"
    proposed = prepare(auto_study("space.proposer=improvement"))
    assert proposed.config.rule.name == "goldilocks"
    assert proposed.config.rule.parameters["eager"] is True
    unlabelled = "data={name='tests.methods.supervised:shades',labelled=false}"
    unlabelled_study = prepare(
        auto_study(unlabelled, "encoder.name=tests.tiny:layer", "criteria.names=['rankme']")
    )
    assert unlabelled_study.config.rule.name == "none"


def test_labels_that_are_bought_are_read_at_the_end_only(tmp_path: Path) -> None:
    config = auto_study("probe.labels=per_model", "rule.models=2", "rule.prior=none")
    outcome = launch.run(config, results=tmp_path, warn=lambda sentence: None)
    assert outcome.probes_paid == 2
    first = began(locate(tmp_path / "small"))
    assert first.chosen["rule"]["keys"] == {"labels": "end"}
    assert first.chosen["rule"]["look_seconds"] is None
    assert (first.config["criteria"]["at"], first.config["probe"]["at"]) == ([0.5], [])
    probed = [
        event.observation
        for event in read_log(locate(tmp_path / "small"))
        if isinstance(event, Observed) and event.observation.stage == "probed"
    ]
    assert [observation.fraction for observation in probed] == [1.0, 1.0]
    assert verify_study(locate(tmp_path / "small")).difference is None


def test_a_named_rule_is_never_replaced() -> None:
    assert prepare(auto_study("rule.name=paper")).choice is None


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that chose its rule; `probe.at` decides, so no timing can change the choice."""
    results = tmp_path_factory.mktemp("auto")
    lines: list[str] = []
    config = auto_study("probe.at=[0.5]", "rule.prior=none", "rule.tolerance_points=0.02")
    launch.run(config, results=results, warn=lambda sentence: None, tell=lines.append)
    (line,) = [line for line in lines if line.startswith("rule")]
    assert line.startswith(
        "rule        race, probes at 0.5 of training: probe.at is given (a look "
    )
    assert "a trial 29 steps of" in line
    return results / "small"


def test_the_first_event_holds_the_choice_and_the_config_the_chosen_rule(finished: Path) -> None:
    first = began(locate(finished))
    chosen = first.chosen["rule"]
    assert (chosen["name"], chosen["probe_at"], chosen["steps"]) == ("race", [0.5], 29)
    assert chosen["step_seconds"] > 0
    assert chosen["look_seconds"] > 0
    assert first.config["rule"]["name"] == "race"
    assert first.config["rule"]["tolerance_points"] == 0.02
    assert first.config["probe"]["at"] == [0.5]


def test_verify_and_resume_read_the_choice(finished: Path) -> None:
    check = verify_study(locate(finished))
    assert check.difference is None
    assert check.verdicts > 0
    for override in ("rule.name=auto", "budget.probes=50"):
        launch.resume(finished, overrides=[override], warn=lambda sentence: None)
    assert began(locate(finished)).chosen["rule"]["name"] == "race"
    assert verify_study(locate(finished)).difference is None


def test_a_study_that_named_its_rule_cannot_become_auto(tmp_path: Path) -> None:
    launch.run(small_study("rule={name='none'}", "train.epochs=1"), results=tmp_path, warn=print)
    with pytest.raises(StudyError, match="A resume cannot change rule"):
        launch.resume(tmp_path / "small", overrides=["rule.name=auto"])


def test_a_dry_run_prints_the_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "study.toml"
    config.write_text(
        'data.name = "digits"\ndata.limit = 300\nencoder.name = "small_conv"\n'
        'train.epochs = 1\nspace.axes.seed = [1, 2]\nresources.runner = "local"\n'
        "train.batch = 100\n"
    )
    assert app.run_command(["run", str(config), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "\nrule        all: there are too few candidates to choose among them\n" in out
