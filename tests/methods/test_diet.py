from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

from sweep.methods.diet import Diet
from tests.methods.batches import IMAGES, FixedViews, batch, built
from tests.runs import fresh, trial


def diet(**keys: Any) -> Diet:
    method = built("diet", **keys)
    assert isinstance(method, Diet)
    return method


def logits(method: Diet) -> Tensor:
    with torch.no_grad():
        values: Tensor = method.classifier(method.encoder(batch().view()))
    return values.double()


def test_the_classifier_has_one_output_for_each_image_and_no_bias() -> None:
    assert diet().classifier.out_features == IMAGES
    assert diet().classifier.bias is None
    images = torch.zeros(17, 3, 8, 8, dtype=torch.uint8)
    method = fresh(trial(method={"name": "diet"}), images=images).method
    assert isinstance(method, Diet)
    assert method.classifier.out_features == 17


@pytest.mark.parametrize("smoothing", [0.0, 0.8])
def test_equal_logits_cost_log_n_whatever_the_smoothing(smoothing: float) -> None:
    method = diet(label_smoothing=smoothing)
    torch.nn.init.zeros_(method.classifier.weight)
    loss = method(batch())
    assert loss.value.item() == pytest.approx(math.log(IMAGES), rel=1e-5)
    assert loss.parts["instance_loss"].item() == pytest.approx(1, rel=1e-5)


def test_without_smoothing_it_is_scikit_learns_log_loss() -> None:
    given = batch()
    chances = torch.softmax(logits(diet()), 1).numpy()
    expected = log_loss(given.rows.numpy(), chances, labels=np.arange(IMAGES))
    assert diet(label_smoothing=0.0)(given).value.item() == pytest.approx(expected, rel=1e-4)


def test_smoothing_mixes_the_target_with_the_uniform_distribution() -> None:
    given = batch()
    log_chances = torch.log_softmax(logits(diet()), 1)
    target = 0.2 * torch.nn.functional.one_hot(given.rows, IMAGES) + 0.8 / IMAGES
    expected = -(target * log_chances).sum(1).mean()
    assert diet()(given).value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_accuracy_is_the_share_of_images_that_are_named_right() -> None:
    method = diet()
    right = logits(method).argmax(1) == batch().rows
    assert method(batch()).parts["instance_accuracy"].item() == right.float().mean().item()
    with torch.no_grad():
        h_BD = method.encoder(batch().view())
        # The row of an image's own features, centred, has the largest product with them.
        method.classifier.weight[batch().rows] = 1e3 * torch.nn.functional.normalize(
            torch.linalg.pinv(h_BD).T
        )
    assert method(batch()).parts["instance_accuracy"].item() == 1


def test_it_draws_one_view_of_the_first_recipe() -> None:
    given = batch()
    diet()(given)
    assert isinstance(given.view, FixedViews)
    assert given.view.asked == [False]
