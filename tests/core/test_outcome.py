"""What a study comes to."""

from __future__ import annotations

import pytest

from sweep.core.outcome import outcome, wilson
from sweep.rules.baselines import ProbeAll, ProbeRandom
from tests.histories import play, study_of


def test_the_best_wins_and_the_first_of_equals() -> None:
    study = study_of(ProbeAll(), 4)
    play(study, [1.0, 2.0, 3.0, 4.0], [0.2, 0.9, 0.9, 0.5])
    assert outcome(study.history, "done").winner == "t1"


def test_ties_are_those_whose_difference_could_be_chance() -> None:
    study = study_of(ProbeAll(), 4)
    play(study, [1.0, 2.0, 3.0, 4.0], [0.80, 0.79, 0.765, 0.70])  # on 1,000 images
    assert outcome(study.history, "done").ties == ("t1", "t2")


def test_probes_saved_are_models_measured_and_not_probed() -> None:
    study = study_of(ProbeRandom(probes=2), 5)
    play(study, [1.0, None, 3.0, 4.0, 5.0], [0.5] * 5)
    found = outcome(study.history, "done")
    assert (found.probes_paid, found.probes_saved) == (2, 2)  # the collapsed one counts as neither


def test_nothing_probed_has_no_winner() -> None:
    study = study_of(ProbeAll(), 1)
    found = outcome(study.history, "done")
    assert found.winner is None
    assert found.interval is None


@pytest.mark.parametrize(
    ("accuracy", "images", "expected"),
    # statsmodels 0.14: proportion_confint(k, n, method="wilson")
    [(0.5, 100, (0.403832, 0.596168)), (1.0, 10, (0.722467, 1.0)), (0.0, 10, (0.0, 0.277533))],
)
def test_wilsons_interval(accuracy: float, images: int, expected: tuple[float, float]) -> None:
    assert wilson(accuracy, images) == pytest.approx(expected, abs=1e-6)
