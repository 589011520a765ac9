"""The bench of the linear probe, small: the object's fields, and that accuracies are measured."""

from __future__ import annotations

import json

import torch

from sweep.bench import probe
from sweep.probes import Labelled


def test_the_figure_compares_seconds_and_accuracies() -> None:
    figure = probe.run(repeats=1, images=600, held_out=200, dim=32, classes=4, epochs=3)
    found = json.loads(figure.to_json())
    assert found["name"] == "probe"
    assert found["unit"] == "s"
    assert 25 < found["accuracy"] <= 100
    assert abs(found["accuracy_difference"]) < 15
    assert found["l2"] in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def test_the_baseline_learns() -> None:
    torch.manual_seed(0)
    labels_N = torch.arange(400) % 2
    h_ND = torch.randn(400, 8)
    h_ND[:, 0] += 8.0 * labels_N
    predict = probe.sgd(Labelled(features_ND=h_ND, labels_N=labels_N), 2, epochs=10)
    assert (predict(h_ND) == labels_N).float().mean() > 0.99


def test_the_features_are_drawn_from_their_seed_alone() -> None:
    h_ND, labels_N = probe.features(100, 16, 3)
    again_ND, _ = probe.features(100, 16, 3)
    other_ND, _ = probe.features(100, 16, 3, seed=1)
    assert torch.equal(h_ND, again_ND)
    assert not torch.equal(h_ND, other_ND)
    assert (h_ND >= 0).all()
    assert set(labels_N.tolist()) == {0, 1, 2}
