from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sweep.methods.simclr import nt_xent
from sweep.methods.two_views import TwoViews
from tests.methods.batches import batch, built


def plain(z_a: Tensor, z_b: Tensor, temperature: float) -> float:
    """Return algorithm 1 of the paper: the mean of l(i, j) over both views of all images."""
    views = [*z_a.double(), *z_b.double()]
    images = len(z_a)

    def similarity(i: int, j: int) -> float:
        return float(views[i] @ views[j] / (views[i].norm() * views[j].norm()))

    def cost(i: int, j: int) -> float:
        others = [k for k in range(2 * images) if k != i]
        total = sum(math.exp(similarity(i, k) / temperature) for k in others)
        return -math.log(math.exp(similarity(i, j) / temperature) / total)

    return sum(cost(k, k + images) + cost(k + images, k) for k in range(images)) / (2 * images)


def views(rows: int = 7, d: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z_a, noise = torch.randn(2, rows, d, generator=generator, dtype=torch.float64)
    return z_a, z_a + 0.5 * noise


def test_views_that_are_all_the_same_cost_the_log_of_the_other_views() -> None:
    z = torch.ones(5, 3)
    value, parts = nt_xent(z, z, temperature=0.5)
    assert value.item() == pytest.approx(math.log(9), rel=1e-6)
    assert parts["positive"].item() == pytest.approx(1)
    assert parts["negative"].item() == pytest.approx(1)


def test_orthogonal_images_seen_alike_cost_only_the_rest_of_the_softmax() -> None:
    z = torch.eye(4)
    value, parts = nt_xent(z, z, temperature=0.5)
    assert value.item() == pytest.approx(-2 + math.log(math.exp(2) + 6), rel=1e-6)
    assert parts["positive"].item() == pytest.approx(1)
    assert parts["negative"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_equals_the_papers_algorithm(temperature: float) -> None:
    z_a, z_b = views()
    value, _ = nt_xent(z_a, z_b, temperature=temperature)
    assert value.item() == pytest.approx(plain(z_a, z_b, temperature), rel=1e-12)
    single, _ = nt_xent(z_a.float(), z_b.float(), temperature=temperature)
    assert single.item() == pytest.approx(plain(z_a, z_b, temperature), rel=1e-5)


def test_the_parts_are_the_mean_cosine_and_the_soft_maximum_of_the_negatives() -> None:
    z_a, z_b = views()
    _, parts = nt_xent(z_a, z_b, temperature=0.5)
    cosine = torch.nn.functional.cosine_similarity(z_a, z_b)
    assert parts["positive"].item() == pytest.approx(cosine.mean().item())
    _, cold = nt_xent(z_a, z_b, temperature=1e-4)
    unit = torch.nn.functional.normalize(torch.cat([z_a, z_b]), dim=1)
    of_one_image = torch.eye(7, dtype=torch.bool).repeat(2, 2)
    largest = (unit @ unit.T).masked_fill(of_one_image, -2).amax(1).mean()
    assert cold["negative"].item() == pytest.approx(largest.item(), abs=1e-3)


def test_does_not_depend_on_the_length_of_a_projection() -> None:
    z_a, z_b = views()
    value, _ = nt_xent(z_a, z_b, temperature=0.5)
    longer, _ = nt_xent(10 * z_a, 3 * z_b, temperature=0.5)
    assert longer.item() == pytest.approx(value.item())


def test_gradient_is_that_of_finite_differences() -> None:
    z_a, z_b = (z.requires_grad_() for z in views(4, 3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.5)[0], (z_a, z_b))


def test_the_projector_is_as_wide_as_the_features_and_ends_in_a_batch_norm() -> None:
    method = built("simclr")
    assert isinstance(method, TwoViews)
    assert isinstance(method.projector, nn.Sequential)
    kinds = [type(module).__name__ for module in method.projector]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    sizes = [(m.in_features, m.out_features) for m in method.projector if isinstance(m, nn.Linear)]
    assert sizes == [(256, 256), (256, 16)]


def test_the_key_temperature_reaches_the_loss() -> None:
    first, second = (built("simclr", temperature=t)(batch()).value for t in (0.2, 1.0))
    assert first.item() != pytest.approx(second.item(), rel=1e-3)
