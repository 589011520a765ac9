"""The authors' rule, round by round, compared with histories that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.core.failures import Failure
from sweep.core.history import State
from sweep.core.records import Zone
from sweep.rules.paper import Paper, bracket
from tests.histories import measure_all, measured, play, probed, study_of


def zone_of(alphas: list[float], accuracies: list[float], *, top: int, zone: Zone) -> Zone:
    return bracket(np.array(alphas), np.array(accuracies), top=top, zone=zone)


def test_the_bracket_spans_the_top_half() -> None:
    zone = zone_of([1, 2, 3, 4], [0.1, 0.8, 0.9, 0.2], top=2, zone=Zone())
    assert (zone.lo, zone.hi) == (2, 3)


def test_a_bound_stays_if_the_top_model_is_the_outermost() -> None:
    zone = zone_of([1, 2, 3, 4], [0.9, 0.8, 0.1, 0.2], top=2, zone=Zone(lo=0.5, hi=9.0))
    assert (zone.lo, zone.hi) == (0.5, 2)


def test_a_model_that_ties_with_the_last_top_model_is_a_top_model() -> None:
    zone = zone_of([1, 2, 3, 4, 5], [0.1, 0.8, 0.9, 0.8, 0.2], top=2, zone=Zone())
    assert (zone.lo, zone.hi) == (2, 4)


def test_without_a_probe_no_bound_moves() -> None:
    assert zone_of([], [], top=2, zone=Zone(lo=1.0)) == Zone(lo=1.0)


# Three rounds of four models, worked out by hand with top = 2. Round 1 probes all four. The best
# two are t1 (2.0) and t2 (3.0), so the bracket is [2, 3]. In round 2, t4 (2.5) and t6 (2.2) are
# inside. The best of all six probed models are t4 (.95) and t2 (.9), so the bracket is [2.5, 3].
# In round 3, only t8 (2.7) is inside.
ALPHAS = [1.0, 2.0, 3.0, 4.0, 2.5, 1.5, 2.2, 3.5, 2.7, 2.4, 3.1, 2.0]
ACCURACIES = [0.1, 0.8, 0.9, 0.2, 0.95, 0.5, 0.6, 0.5, 0.99, 0.7, 0.7, 0.7]


def test_exact_rounds_probe_the_same_models_as_the_authors_rule() -> None:
    study = study_of(Paper(round=4, sync=True), 12)
    assert play(study, ALPHAS, ACCURACIES) == ["t0", "t1", "t2", "t3", "t4", "t6", "t8"]
    assert (study.history.zone.lo, study.history.zone.hi) == (2.5, 2.7)
    assert study.history.zone.through == 3


def test_a_round_waits_until_the_previous_round_is_probed() -> None:
    study = study_of(Paper(round=4, sync=True), 12)
    actions = measure_all(study, ALPHAS)
    assert actions == ["continue"] * 4 + ["hold"] * 8
    for number in range(3):
        study.observe(f"t{number}", probed(ACCURACIES[number]))
        assert study.action("t4") == "hold"
    study.observe("t3", probed(ACCURACIES[3]))
    assert [study.action(f"t{n}") for n in range(4, 12)] == [
        "continue", "stop", "continue", "stop", "hold", "hold", "hold", "hold",
    ]  # fmt: skip


def test_rounds_do_not_depend_on_the_order_of_results() -> None:
    study = study_of(Paper(round=4, sync=True), 12)
    waiting = list(range(12))
    for number in reversed(waiting):
        study.start(f"t{number}")
        study.observe(f"t{number}", measured(ALPHAS[number]))
    probes = set()
    while due := [t for t in study.history.trial_ids if study.action(t) == "continue"]:
        trial_id = due[-1]
        probes.add(trial_id)
        study.observe(trial_id, probed(ACCURACIES[int(trial_id[1:])]))
    assert probes == {"t0", "t1", "t2", "t3", "t4", "t6", "t8"}


def test_a_round_with_a_failed_and_a_collapsed_model_still_ends() -> None:
    study = study_of(Paper(round=4, sync=True), 8)
    study.start("t0")
    study.fail("t0", Failure(error="out of memory", cause="exception"))
    alphas: list[float | None] = [None, None, 3.0, 4.0, 2.5, 3.5, 3.2, 9.0]
    accuracies = [0, 0, 0.9, 0.2, 0.5, 0.5, 0.5, 0.5]
    assert play(study, alphas, accuracies) == ["t2", "t3", "t4", "t5", "t6", "t7"]
    assert study.history.state_of("t1") == State.STOPPED


def test_an_incomplete_last_round_is_decided_when_nothing_else_runs() -> None:
    study = study_of(Paper(round=4, sync=True), 6)
    assert play(study, ALPHAS[:6], ACCURACIES[:6]) == ["t0", "t1", "t2", "t3", "t4"]
    assert study.history.state_of("t5") == State.STOPPED


def test_without_a_barrier_every_model_is_probed_until_a_round_of_results_is_known() -> None:
    study = study_of(Paper(round=4), 12)
    assert measure_all(study, ALPHAS) == ["continue"] * 12


def test_without_a_barrier_the_bracket_moves_after_each_probe() -> None:
    study = study_of(Paper(round=4), 12)
    zones = []
    for number in range(8):
        study.start(f"t{number}")
        if study.observe(f"t{number}", measured(ALPHAS[number])) == "continue":
            study.observe(f"t{number}", probed(ACCURACIES[number]))
        zones.append((study.history.zone.lo, study.history.zone.hi))
    assert zones[2] == (None, None)
    assert zones[3] == (2.0, 3.0)
    assert zones[4] == (2.5, 3.0)
    assert study.history.state_of("t5") == State.STOPPED


def test_a_model_outside_waits_while_a_running_probe_may_widen_the_bracket() -> None:
    study = study_of(Paper(round=4), 6)
    measure_all(study, [1.0, 2.0, 3.0, 4.0, 9.0])
    for number in range(4):
        study.observe(f"t{number}", probed(ACCURACIES[number]))
    study.start("t5")
    assert study.observe("t5", measured(8.0)) == "hold"
    study.observe("t4", probed(0.99))
    assert (study.history.zone.lo, study.history.zone.hi) == (3.0, 9.0)
    assert study.action("t5") == "continue"


@pytest.mark.parametrize("seed", range(20))
def test_without_a_barrier_a_stopped_model_stays_outside_the_bracket(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alphas, accuracies = rng.uniform(0, 3, 60), rng.uniform(0, 1, 60)
    study = study_of(Paper(round=6), 60)
    running: list[int] = []
    stopped: list[float] = []
    number = 0
    while number < 60 or running:
        if number < 60 and (len(running) < 5 or rng.random() < 0.5):
            study.start(f"t{number}")
            if study.observe(f"t{number}", measured(float(alphas[number]))) == "continue":
                running.append(number)
            number += 1
        else:
            finished = running.pop(int(rng.integers(len(running))))
            study.observe(f"t{finished}", probed(float(accuracies[finished])))
        stopped = [
            float(alphas[row]) for row in np.flatnonzero(study.history.state == State.STOPPED)
        ]
        assert not any(study.history.zone.holds(alpha) for alpha in stopped)
        running += [
            row
            for row in np.flatnonzero(study.history.state == State.PROBING).tolist()
            if row not in running
        ]
    assert stopped
