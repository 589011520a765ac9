from __future__ import annotations

import numpy as np
import pytest

from sweep.core.events import Decided
from sweep.core.history import State
from sweep.replay.landscape import Landscape
from sweep.replay.simulate import simulate
from sweep.rules.goldilocks import Goldilocks
from sweep.study import Study
from tests.histories import measured, play, probed, study_of
from tests.landscapes import hump, recorded

ALPHAS = [0.4 + i / 20 for i in range(40)]
HUMP = [0.6 - 0.15 * (alpha - 1.2) ** 2 for alpha in ALPHAS]


def test_no_model_is_probed_before_all_are_measured_and_the_best_is_found() -> None:
    study = study_of(Goldilocks(), 40)
    order = []
    for number, alpha in enumerate(ALPHAS):
        study.start(f"t{number}")
        assert study.observe(f"t{number}", measured(alpha)) == "hold"
    while (trial_id := study.next()) is not None:
        study.start(trial_id)
        study.observe(trial_id, probed(HUMP[int(trial_id[1:])]))
        order.append(int(trial_id[1:]))
    assert len(order) < 20
    assert max(HUMP[number] for number in order) == max(HUMP)
    assert study.history.zone.holds(ALPHAS[16])
    assert study.history.zone.note == ""


def test_a_rising_response_leads_to_the_largest_alphas() -> None:
    study = study_of(Goldilocks(), 40)
    order = measure_then_probe(study, ALPHAS, [0.2 + alpha / 10 for alpha in ALPHAS])
    assert 39 in order
    assert "monotone: the largest" in study.history.zone.note


def test_a_flat_response_is_noted() -> None:
    rng = np.random.default_rng(0)
    study = study_of(Goldilocks(), 40)
    measure_then_probe(study, ALPHAS, [float(value) for value in 0.5 + 0.02 * rng.normal(size=40)])
    assert "flat" in study.history.zone.note


def test_the_first_probes_are_spread_over_the_fields_as_well_as_over_alpha() -> None:
    lows = []
    for seed in range(20):
        study = study_of(Goldilocks(seed=seed), 40)  # d is the trial's number, and alpha is noise
        rng = np.random.default_rng(seed)
        order = measure_then_probe(study, rng.permutation(ALPHAS).tolist(), [0.5] * 40)
        lows.append(sum(number < 20 for number in order[:5]))
    assert np.std(lows) < 0.8  # 1.06 if they were drawn at random
    assert 2 < np.mean(lows) < 3


def test_while_no_feature_predicts_better_than_the_mean_probes_are_spread_and_that_is_said() -> (
    None
):
    study = study_of(Goldilocks(seed=1), 60)
    rng = np.random.default_rng(7)
    for number in range(60):
        study.start(f"t{number}")
        study.observe(f"t{number}", measured(float(rng.uniform(1, 2))))
    notes = []
    while (trial_id := study.next()) is not None:
        study.start(trial_id)
        study.observe(trial_id, probed(0.5 + 0.02 * float(rng.normal())))
        notes.append(study.history.zone.note)
    spread = [e.reason for e in study.events() if isinstance(e, Decided) and "far from" in e.reason]
    assert spread
    assert any("better than the mean; probes are spread" in note for note in notes)


def test_two_humps_are_noted() -> None:
    accuracies = [
        0.6 - 0.5 * min((alpha - 0.7) ** 2, (alpha - 2.0) ** 2 + 0.01) for alpha in ALPHAS
    ]
    study = study_of(Goldilocks(round=20), 40)
    measure_then_probe(study, ALPHAS, accuracies)
    assert "two humps" in study.history.zone.note


def measure_then_probe(study: object, alphas: list[float], accuracies: list[float]) -> list[int]:
    """Measure all models, then probe those that the rule chooses; return their numbers in order."""
    from sweep.study import Study

    assert isinstance(study, Study)
    order: list[int] = []
    for number, alpha in enumerate(alphas):
        study.start(f"t{number}")
        if study.observe(f"t{number}", measured(alpha)) == "continue":
            study.observe(f"t{number}", probed(accuracies[number]))
            order.append(number)
    while (trial_id := study.next()) is not None:
        study.start(trial_id)
        order.append(int(trial_id[1:]))
        study.observe(trial_id, probed(accuracies[order[-1]]))
    return order


def test_early_looks_save_pretraining_and_cost_little_accuracy() -> None:
    landscape = hump(60)
    order = np.random.default_rng(0).permutation(60).tolist()
    rule = Goldilocks(eager=True, risk=0.05)
    study, played = simulate(landscape, rule, order, parallel=4, early=True)
    whole = landscape.pretrain_seconds
    assert played.pretrain_seconds < 0.8 * whole
    assert played.regret < 0.01
    stopped = _stopped(study)
    assert any("of its training it is the best with probability" in reason for reason in stopped)


def test_candidates_that_cannot_be_the_best_are_never_started() -> None:
    candidates = tuple(
        recorded(f"c{i}", 1.0 + i / 100, 0.3 + 0.05 * (i % 8), d=float(i % 8)) for i in range(64)
    )
    landscape = Landscape(name="line", candidates=candidates)
    order = np.random.default_rng(1).permutation(64).tolist()
    rule = Goldilocks(eager=True, round=10)
    study, played = simulate(landscape, rule, order, parallel=4)
    stopped = _stopped(study)
    assert any("never begun" in reason for reason in stopped)
    assert played.pretrain_seconds < 0.8 * landscape.pretrain_seconds
    assert played.regret == 0


def _stopped(study: Study) -> list[str]:
    """Return the reason of every `stop`."""
    return [e.reason for e in study.events() if isinstance(e, Decided) and e.action == "stop"]


def test_a_spectrum_that_collapses_during_training_stops_the_trial_at_once() -> None:
    from sweep.core.records import Measure, Observation

    study = study_of(Goldilocks(eager=True), 20)
    study.start("t0")
    alpha = Measure(name="alpha", value=None, status="degenerate", detail={"reason": "rank 1"})
    observation = Observation(stage="measured", step=5, fraction=0.5, measures=(alpha,))
    assert study.observe("t0", observation) == "stop"
    assert study.history.state_of("t0") == State.STOPPED


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_fewer_candidates_than_a_round_are_probed_to_the_end(count: int) -> None:
    study = study_of(Goldilocks(), count)
    assert measure_then_probe(study, ALPHAS[:count], HUMP[:count])
    assert study.next() is None


def test_without_a_response_the_best_model_is_stopped_about_as_often_as_risk_says() -> None:
    lost = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        accuracies = rng.normal(0.4, 0.02, size=30)
        candidates = tuple(
            recorded(f"c{i}", float(rng.uniform(1, 2)), float(accuracies[i]), d=float(i % 8))
            for i in range(30)
        )
        rule = Goldilocks(eager=True, risk=0.2)
        landscape = Landscape(name="flat", candidates=candidates)
        study, _ = simulate(landscape, rule, list(range(30)), parallel=4)
        lost += study.history.state_of(f"c{np.argmax(accuracies)}") == State.STOPPED
    assert 0 < lost <= 8  # 4 of 20 are expected; more than 8 of 20 would be very unlikely


def test_an_eager_rule_probes_each_model_that_finishes() -> None:
    study = study_of(Goldilocks(round=4, eager=True, risk=0.0), 8)
    assert play(study, ALPHAS[:8], HUMP[:8]) == [f"t{i}" for i in range(8)]
