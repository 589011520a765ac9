from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sweep.config.models import ProbeConfig
from sweep.core.records import few_labels
from sweep.probes import Fitted, Labelled
from sweep.probes.few import accuracies
from sweep.probes.labelled import measured
from sweep.probes.linear import linear


def part(images: int, classes: int, seed: int) -> Labelled:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    features = rng.normal(size=(images, 16)) + 2 * np.eye(16)[labels]
    return Labelled(
        features_ND=torch.from_numpy(features).float(), labels_N=torch.from_numpy(labels)
    )


def test_more_labels_give_more_accuracy_and_the_interval_holds_the_mean() -> None:
    found = accuracies(
        linear(), part(2000, 5, 0), part(500, 5, 1), (0.01, 0.5, "2/class"), seeds=4, seed=0
    )
    assert list(found) == ["0.01", "0.5", "2/class"]
    assert found["2/class"][0] < found["0.01"][0] < found["0.5"][0]
    assert all(0 <= low < mean < high <= 1 for mean, low, high in found.values())
    assert few_labels({"few": found}) == found


@pytest.mark.parametrize(("few", "wanted"), [("3/class", 3), (0.1, 10), (0.001, 1)])
def test_each_class_gives_its_share_and_every_draw_is_another_one(
    few: float | str, wanted: int
) -> None:
    train = Labelled(features_ND=torch.arange(300.0).view(-1, 1), labels_N=torch.arange(300) % 3)
    drawn: list[set[float]] = []

    def probe(given: Labelled, validation: Labelled) -> Fitted:
        assert torch.bincount(given.labels_N).tolist() == [wanted] * 3
        assert torch.equal(given.features_ND[:, 0] % 3, given.labels_N.float())
        drawn.append(set(given.features_ND[:, 0].tolist()))
        return Fitted(measure=measured(0.5, 10, {}), predict=lambda h: h[:, 0].long())

    accuracies(probe, train, train, (few,), seeds=3, seed=0)
    accuracies(probe, train, train, (few,), seeds=3, seed=0)
    assert drawn[0] != drawn[1]
    assert drawn[:3] == drawn[3:]


@pytest.mark.parametrize("few", [0, 1.5, "5", "0/class", "five/class"])
def test_a_number_of_another_form_is_refused(few: object) -> None:
    with pytest.raises(ValidationError):
        ProbeConfig.model_validate({"few": [few]})
