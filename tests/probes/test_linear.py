"""The linear probe, compared with sklearn's optimum of the same objective."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sweep.probes import Labelled
from sweep.probes.linear import Problem, Standardiser, linear, solve


def overlapping(images: int, seed: int) -> Labelled:
    """Return correlated, non-negative features of five overlapping classes."""
    fixed, draw = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    centre_KD = torch.randn(5, 24, generator=fixed)
    mix_DD = torch.randn(24, 24, generator=fixed)
    labels_N = torch.randint(5, (images,), generator=draw)
    z_ND = centre_KD[labels_N] + 2 * torch.randn(images, 24, generator=draw)
    return Labelled(features_ND=torch.relu(z_ND @ mix_DD), labels_N=labels_N)


@pytest.mark.parametrize("l2", [1.0, 1e-2, 1e-4])
def test_the_optimum_equals_sklearns(l2: float) -> None:
    train = overlapping(600, 1)
    standard = Standardiser.of(train.features_ND)
    problem = Problem.of(standard(train.features_ND), train.labels_N)
    ours = solve(problem, l2, problem.zeros())

    x = StandardScaler().fit_transform(train.features_ND.double().numpy())
    y = train.labels_N.numpy()
    reference = LogisticRegression(C=1 / (l2 * len(y)), tol=1e-10, max_iter=10_000).fit(x, y)
    log_p = reference.predict_log_proba(x)[np.arange(len(y)), y]
    optimum = -log_p.mean() + l2 / 2 * np.sum(reference.coef_**2)

    assert ours.converged
    assert ours.value == pytest.approx(optimum, abs=1e-5)
    predicted = problem.predict(ours.weights_KF, standard(train.features_ND)).numpy()
    assert np.mean(predicted == reference.predict(x)) > 0.995


def test_the_gradient_equals_that_of_autograd() -> None:
    train = overlapping(80, 1)
    problem = Problem.of(Standardiser.of(train.features_ND)(train.features_ND), train.labels_N)
    weights_KF = np.random.default_rng(0).normal(size=problem.zeros().shape)
    loss, gradient_KF = problem.loss_and_gradient(weights_KF)
    leaf = torch.tensor(weights_KF, requires_grad=True)
    expected = torch.nn.functional.cross_entropy((leaf @ problem.z_FN.double()).T, train.labels_N)
    torch.autograd.backward(expected)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert leaf.grad is not None
    np.testing.assert_allclose(gradient_KF, leaf.grad.numpy(), atol=1e-5)


def test_scale_and_offset_of_the_features_change_nothing() -> None:
    train, validation = overlapping(600, 1), overlapping(300, 2)

    def moved(part: Labelled) -> Labelled:
        h_ND = part.features_ND * torch.linspace(0.01, 100, 24) + 3
        return Labelled(features_ND=h_ND, labels_N=part.labels_N)

    probe = linear()
    before, after = probe(train, validation), probe(moved(train), moved(validation))
    assert after.measure.value == pytest.approx(before.measure.value, abs=0.01)


def test_the_best_strength_on_validation_is_chosen_and_the_strongest_of_equal_ones() -> None:
    train, validation = overlapping(60, 1), overlapping(300, 2)
    detail = linear(l2=(1e-6, 1e-1, 1.0))(train, validation).measure.detail
    accuracies = detail["accuracies"]
    assert list(accuracies) == ["1", "0.1", "1e-06"]
    assert detail["l2"] == float(max(accuracies, key=lambda name: accuracies[name]))
    assert accuracies["1e-06"] < max(accuracies.values())

    far = Labelled(features_ND=train.features_ND.clone(), labels_N=(train.labels_N > 2).long())
    far.features_ND[:, 0] = 100.0 * far.labels_N
    same = linear(l2=(1e-4, 1e-3, 1e-2))(far, far).measure
    assert same.value == 1.0
    assert same.detail["l2"] == 1e-2


def test_every_strength_converges() -> None:
    measure = linear()(overlapping(600, 1), overlapping(300, 2)).measure
    assert measure.detail["converged"] is True
    assert measure.detail["iterations"] < 300
