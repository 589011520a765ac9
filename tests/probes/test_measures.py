"""Measures beside accuracy, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, top_k_accuracy_score

from sweep.core.records import measures_of_probe
from sweep.probes import Labelled
from sweep.probes.knn import knn
from sweep.probes.linear import linear
from sweep.probes.measures import further, top


def drawn(images: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores [N, K] and labels [N] of classes of unequal size."""
    rng = np.random.default_rng(seed)
    share = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    labels = rng.choice(classes, images, p=share)
    scores = rng.normal(size=(images, classes))
    scores[np.arange(images), labels] += 1.0
    return torch.from_numpy(scores), torch.from_numpy(labels)


@pytest.mark.parametrize(("images", "classes"), [(400, 3), (900, 12)])
def test_the_values_are_those_of_scikit_learn(images: int, classes: int) -> None:
    scores, labels = drawn(images, classes)
    guess = scores.argmax(1)
    names = [f"class {k}" for k in range(classes)]
    found = further(guess, labels, classes=names, top_N5=top(scores, torch.arange(classes)))
    values = {name: value for name, (value, _, _) in measures_of_probe(found).items()}
    wanted = {
        "balanced_accuracy": balanced_accuracy_score(labels, guess),
        "macro_f1": f1_score(labels, guess, average="macro"),
    }
    if classes > 5:
        wanted["top5_accuracy"] = top_k_accuracy_score(labels, scores, k=5)
    assert values == pytest.approx(wanted)
    recall = recall_score(labels, guess, average=None)
    assert found["class_recall"] == pytest.approx(dict(zip(names, recall, strict=True)))
    assert found["chance"] == pytest.approx(np.bincount(labels).max() / images)
    low, high = found["interval"]
    assert low < (guess == labels).double().mean() < high


def test_intervals_hold_the_value_of_a_larger_draw_about_as_often_as_they_say() -> None:
    scores, labels = drawn(200_000, 4, seed=1)
    truth = balanced_accuracy_score(labels, scores.argmax(1))
    held = 0
    for part in range(60):
        rows = slice(500 * part, 500 * (part + 1))
        found = further(scores[rows].argmax(1), labels[rows], classes=["a"] * 4)
        _, low, high = measures_of_probe(found)["balanced_accuracy"]
        held += low <= truth <= high
    assert 52 <= held <= 60


def test_a_class_without_images_counts_only_where_it_is_predicted() -> None:
    labels, guess = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2, 1, 1])
    found = further(guess, labels, classes=["a", "b", "c"])
    values = measures_of_probe(found)
    assert values["balanced_accuracy"][0] == 0.75
    assert values["macro_f1"][0] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["class_recall"] == {"a": 0.5, "b": 1.0}
    assert "top5_accuracy" not in values


@pytest.mark.parametrize("probe", [linear(), knn()])
def test_the_first_of_the_five_is_the_prediction(probe: object) -> None:
    labels = torch.arange(120) % 8
    features = torch.randn(120, 16, generator=torch.Generator().manual_seed(0))
    features[torch.arange(120), labels] += 2
    part = Labelled(features_ND=features, labels_N=labels)
    fitted = probe(part, part)  # type: ignore[operator]  # a probe
    five = fitted.top(features)
    assert five.shape == (120, 5)
    assert torch.equal(five[:, 0], fitted.predict(features))


@pytest.mark.parametrize(
    "detail", [{}, {"further": 3}, {"further": {"macro_f1": [1, 2]}},
               {"further": {"macro_f1": ["a", 1, 2]}}, {"further": {"other": [0.1, 0.2, 0.3]}}],
)  # fmt: skip
def test_a_detail_of_another_form_holds_no_measures(detail: dict[str, object]) -> None:
    assert measures_of_probe(detail) == {}
