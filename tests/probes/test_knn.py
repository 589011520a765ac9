"""The nearest-neighbour probe: exact votes."""

from __future__ import annotations

import math

import pytest
import torch

from sweep.probes import Labelled, knn


def at_angles(degrees: list[float], labels: list[int]) -> Labelled:
    angles = torch.tensor(degrees) * math.pi / 180
    h_ND = torch.stack([angles.cos(), angles.sin()], dim=1)
    return Labelled(features_ND=h_ND, labels_N=torch.tensor(labels))


TRAIN = at_angles([0, 40, 45], [7, 3, 3])


def test_one_neighbour_is_copied() -> None:
    fitted = knn.probe(TRAIN, at_angles([10, 30], [7, 3]), k=1, temperature=0.07)
    assert fitted.measure.value == 1.0


def test_a_low_temperature_follows_the_nearest_and_a_high_one_counts() -> None:
    validation = at_angles([10], [7])
    assert knn.probe(TRAIN, validation, k=3, temperature=0.01).measure.value == 1.0
    assert knn.probe(TRAIN, validation, k=3, temperature=100.0).measure.value == 0.0


def test_the_length_of_a_feature_does_not_matter() -> None:
    fitted = knn.probe(TRAIN, TRAIN, k=1, temperature=0.07)
    assert fitted.predict(1e-3 * TRAIN.features_ND).tolist() == [7, 3, 3]


def test_more_neighbours_than_images_are_all_of_them() -> None:
    measure = knn.probe(TRAIN, TRAIN, k=200, temperature=100.0).measure
    assert measure.detail["k"] == 3
    assert measure.value == pytest.approx(2 / 3)


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    train = Labelled(features_ND=torch.randn(300, 8), labels_N=torch.arange(300) % 5)
    asked = torch.randn(101, 8)
    whole = knn.probe(train, train, k=9, temperature=0.1).predict(asked)
    monkeypatch.setattr(knn, "SIMILARITIES", 300 * 7)
    assert torch.equal(knn.probe(train, train, k=9, temperature=0.1).predict(asked), whole)
