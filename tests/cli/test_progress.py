"""What a person sees: a live view on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io
import itertools

import pytest
from rich.console import Console

from sweep.cli.progress import Watcher, duration
from sweep.config.study import StudyConfig
from sweep.core.failures import Failure
from sweep.core.history import State
from sweep.core.records import Measure, Observation
from sweep.rules import Rule
from sweep.rules.goldilocks import Goldilocks
from sweep.rules.paper import Paper
from sweep.storage.location import locate
from tests.histories import play, study_of

ALPHAS = [1.0, 2.0, 3.0, 4.0, 2.5, 1.5, 2.2, 3.5]
ACCURACIES = [0.1, 0.8, 0.9, 0.2, 0.95, 0.5, 0.6, 0.5]


def watched(
    *,
    terminal: bool,
    quiet: bool = False,
    alphas: list[float | None],
    rule: Rule | None = None,
) -> str:
    """Return all that is written while a hand-made study is played."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=110, highlight=False)
    study = study_of(rule or Paper(round=4), len(alphas))
    with Watcher(console, quiet=quiet)(study, StudyConfig(), locate("results/x")) as listener:
        study.listen(listener)
        play(study, alphas, ACCURACIES)
    return screen.getvalue()


def test_lines_tell_each_stage_verdict_and_move_of_the_zone() -> None:
    said = watched(terminal=False, alphas=list(ALPHAS))
    assert "t4          measured: alpha 2.5" in said
    assert "t5          stop: alpha 1.500 lies outside [2.500, 3.000]" in said
    assert "zone [2.000, 3.000]" in said
    assert "\x1b" not in said


def test_a_trained_trial_shows_what_varies() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=200, highlight=False)
    study = study_of(Paper(round=4), 0)
    study.add("t0", {"method.name": "[red]byol", "tau": 0.99, "d": 65536, "odd": [1]}, {})
    with Watcher(console)(study, StudyConfig(), locate("results/x")) as listener:
        study.listen(listener)
        study.start("t0")
        loss = Measure(name="loss", value=1.0)
        study.observe("t0", Observation(stage="trained", step=1, measures=(loss,)))
    assert "tau 0.99  d 65536  method.name [red]byol" in screen.getvalue()


def test_a_zone_that_stays_is_told_once() -> None:
    said = watched(terminal=False, alphas=list(ALPHAS), rule=Goldilocks())
    zones = [line.split("zone ")[1] for line in said.splitlines() if "zone [" in line]
    assert len(zones) > 1
    assert all(one != after for one, after in itertools.pairwise(zones))


def test_the_live_view_shows_zone_best_and_probes() -> None:
    said = watched(terminal=True, alphas=list(ALPHAS))
    assert "alpha in [2.500, 3.000]" in said or "alpha in [2.200, 2.500]" in said
    assert "95.00%" in said
    assert "paid" in said


def test_quiet_says_nothing() -> None:
    assert watched(terminal=False, quiet=True, alphas=list(ALPHAS)) == ""


def test_a_failure_names_the_log_even_in_the_live_view() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, highlight=False)
    study = study_of(Paper(round=4), 1)
    with Watcher(console)(study, StudyConfig(), locate("results/x")) as listener:
        study.listen(listener)
        study.start("t0")
        study.observe("t0", Observation(stage="pretrain", step=1, fraction=0.5))
        study.fail("t0", Failure(error="ValueError: \x1b[2Jboom", cause="exception"))
    assert study.history.state_of("t0") == State.FAILED
    assert "results/x/trials/t0/log.txt" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (7200, "2.0 h")]
)
def test_durations_are_said_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
