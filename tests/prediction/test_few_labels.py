"""Which few models are finished without early labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sweep.core.events import Decided
from sweep.core.records import Measure, Observation
from sweep.log.log import MemoryLog
from sweep.prediction.earlier import Source
from sweep.prediction.few_labels import MAP, score
from sweep.rules.race import Race
from sweep.study import Study
from tests.histories import probed

LOOK = 1 / 16


def look(alpha: float | None, rankme: float | None) -> Observation:
    measures = [
        Measure(name=name, value=value, status="degenerate" if value is None else "ok")
        for name, value in (("alpha", alpha), ("rankme", rankme))
    ]
    return Observation(stage="measured", step=1, fraction=LOOK, measures=tuple(measures))


def measured(alpha: float) -> Observation:
    return Observation(stage="measured", step=16, measures=(Measure(name="alpha", value=alpha),))


def study_of(rule: Race, count: int, **fields: object) -> Study:
    study = Study(rule=rule, log=MemoryLog(), clock=lambda: 0.0, **fields)  # type: ignore[arg-type]
    for number in range(count):
        study.add(f"t{number}", {"d": number + 1}, {})
    return study


def play(study: Study, looks: list[tuple[float | None, float | None]]) -> list[str]:
    """Run a study one trial at a time; return the trials that are finished, in order."""
    finished = list[str]()
    while (trial_id := study.next()) is not None:
        number = int(trial_id[1:])
        study.start(trial_id)
        looked = study.history.column("fraction")[number] == LOOK
        if not looked and study.observe(trial_id, look(*looks[number])) != "continue":
            continue
        if study.observe(trial_id, measured(1.0)) == "continue":
            study.observe(trial_id, probed(0.5 + number / 100))
            finished.append(trial_id)
    return finished


def test_the_score_is_the_map_of_the_scaled_ranks() -> None:
    alpha, rankme = np.array([1.0, 2.0, 3.0]), np.array([30.0, 10.0, 20.0])
    a, r = np.sqrt(12) * np.array([-0.5, 0, 0.5]), np.sqrt(12) * np.array([0.5, -0.5, 0])
    expected = np.stack([a, r, a**2, a * r, r**2], axis=1) @ MAP
    assert score(alpha, rankme) == pytest.approx(expected)
    assert score(np.exp(alpha), rankme**3) == pytest.approx(expected), "only ranks count"


def test_every_candidate_has_its_look_before_a_model_is_finished_and_the_best_scores_are() -> None:
    rng = np.random.default_rng(0)
    alphas, rankmes = rng.uniform(0.5, 2, 12), rng.uniform(5, 50, 12)
    study = study_of(Race(labels="end", models=3), 12)
    finished = play(study, list(zip(alphas.tolist(), rankmes.tolist(), strict=True)))
    expected = np.argsort(-score(alphas, rankmes), kind="stable")[:3]
    assert finished == [f"t{row}" for row in expected]
    assert all(state.final for state in map(study.history.state_of, study.history.trial_ids))


def test_a_collapsed_model_is_not_finished() -> None:
    looks: list[tuple[float | None, float | None]] = [(None, None)] * 5 + [(1.0, 10.0), (1.2, 20.0)]
    assert set(play(study_of(Race(labels="end", models=4), 7), looks)) == {"t5", "t6"}


def test_a_budget_of_probes_bounds_the_models_that_are_finished() -> None:
    from sweep.config.models import BudgetConfig

    study = study_of(Race(labels="end", models=5), 8, budget=BudgetConfig(probes=2), workers=3)
    assert len(play(study, [(1.0 + i / 10, 10.0 + i) for i in range(8)])) == 2


def test_it_says_what_it_needs() -> None:
    rule = Race(labels="end")
    assert (rule.online, rule.early, rule.looks) == (False, True, (LOOK,))
    assert rule.needs == {"alpha", "rankme"}
    plain = Race()
    assert (plain.online, plain.early, plain.looks, plain.needs) == (True, False, None, frozenset())


def earlier(best: int, count: int) -> Source:
    """A study of the same candidates, in which the candidate `best` was the best."""
    accuracies = 0.5 - 0.02 * np.abs(np.arange(count) - best)[:, None]
    return Source(
        name="last_month",
        digest="0",
        method="barlow_twins",
        axes={"d": np.arange(1.0, count + 1)},
        fractions=(1.0,),
        accuracies=accuracies,
    )


def test_with_an_earlier_study_every_second_model_is_the_most_promising_by_it() -> None:
    rng = np.random.default_rng(0)
    alphas, rankmes = rng.uniform(0.5, 2, 12), rng.uniform(5, 50, 12)
    study = study_of(Race(labels="end", models=4, sources=(earlier(best=11, count=12),)), 12)
    finished = play(study, list(zip(alphas.tolist(), rankmes.tolist(), strict=True)))
    by_score = [int(row) for row in np.argsort(-score(alphas, rankmes), kind="stable")]
    assert len(finished) == 4
    assert finished[0] == f"t{by_score[0]}"
    assert finished[1] == "t11"
    reasons = [e.reason for e in study.events() if isinstance(e, Decided) and e.trial_id == "t11"]
    assert "it is among the most promising by earlier studies" in reasons


def test_an_earlier_study_without_a_common_axis_changes_nothing() -> None:
    source = replace(earlier(best=11, count=12), axes={"lr": np.arange(12.0)})
    looks: list[tuple[float | None, float | None]] = [(1.0 + i / 10, 10.0 + i) for i in range(12)]
    rules = (Race(labels="end", models=4, sources=sources) for sources in ((), (source,)))
    with_none, with_source = (play(study_of(rule, 12), looks) for rule in rules)
    assert with_none == with_source
