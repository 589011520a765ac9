"""The nearest-neighbour probe: exact votes."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from sweep.probes import Labelled
from sweep.probes.knn import probe


def at_angles(degrees: list[float], labels: list[int]) -> Labelled:
    angles = torch.tensor(degrees) * math.pi / 180
    h_ND = torch.stack([angles.cos(), angles.sin()], dim=1)
    return Labelled(features_ND=h_ND, labels_N=torch.tensor(labels))


TRAIN = at_angles([0, 40, 45], [7, 3, 3])


def test_a_single_neighbour_gives_its_label() -> None:
    fitted = probe(TRAIN, at_angles([10, 30], [7, 3]), k=1, temperature=0.07)
    assert fitted.measure.value == 1.0


def test_the_nearest_wins_at_a_low_temperature_and_the_majority_at_a_high_temperature() -> None:
    validation = at_angles([10], [7])
    assert probe(TRAIN, validation, k=3, temperature=0.01).measure.value == 1.0
    assert probe(TRAIN, validation, k=3, temperature=100.0).measure.value == 0.0


def test_the_length_of_a_feature_vector_changes_no_prediction() -> None:
    fitted = probe(TRAIN, TRAIN, k=1, temperature=0.07)
    assert fitted.predict(1e-3 * TRAIN.features_ND).tolist() == [7, 3, 3]


def test_more_neighbours_than_images_means_all_images() -> None:
    measure = probe(TRAIN, TRAIN, k=200, temperature=100.0).measure
    assert measure.detail["k"] == 3
    assert measure.value == pytest.approx(2 / 3)


def test_predictions_in_parts_equal_predictions_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    train = Labelled(features_ND=torch.randn(300, 8), labels_N=torch.arange(300) % 5)
    features = torch.randn(101, 8)
    whole = probe(train, train, k=9, temperature=0.1).predict(features)
    monkeypatch.setattr(sys.modules[probe.__module__], "SIMILARITIES", 300 * 7)
    assert torch.equal(probe(train, train, k=9, temperature=0.1).predict(features), whole)
