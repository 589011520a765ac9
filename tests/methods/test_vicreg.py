from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sweep.methods.vicreg import EPS, vicreg_terms
from tests.methods.batches import batch, built


def plain(z_a: Tensor, z_b: Tensor) -> dict[str, float]:
    """Return the terms of the paper's equations 1 to 5, entry by entry, in the code's scaling."""
    rows, d = z_a.shape
    invariance = sum(float(((z_a[n] - z_b[n]) ** 2).sum()) for n in range(rows)) / (rows * d)
    variance, covariance = 0.0, 0.0
    for z in (z_a, z_b):
        for j in range(d):
            deviation = float((z[:, j].var(correction=1) + EPS) ** 0.5)
            variance += max(0.0, 1 - deviation) / d / 2
        c = torch.cov(z.T)
        covariance += sum(float(c[i, j] ** 2) for i in range(d) for j in range(d) if i != j) / d
    return {"invariance": invariance, "variance": variance, "covariance": covariance}


def views(rows: int = 12, d: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z_a, noise = torch.randn(2, rows, d, generator=generator, dtype=torch.float64)
    return 0.7 * z_a, 0.7 * z_a + 0.2 * noise + 3.0


def numbers(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: term.item() for name, term in terms.items()}


def test_equal_views_with_deviation_above_one_and_no_covariance_cost_nothing() -> None:
    z = 2 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert numbers(vicreg_terms(z, z)) == {"invariance": 0, "variance": 0, "covariance": 0}


def test_constant_outputs_cost_one_in_variance() -> None:
    z = torch.full((4, 3), 7.0)
    expected = {"invariance": 0, "variance": 1 - EPS**0.5, "covariance": 0}
    assert numbers(vicreg_terms(z, z)) == pytest.approx(expected, abs=1e-6)


def test_views_a_constant_apart_differ_by_its_square() -> None:
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert vicreg_terms(z, z + 3)["invariance"].item() == pytest.approx(9, rel=1e-5)


def test_one_unit_copied_d_times_has_d_minus_one_squared_variances_in_each_view() -> None:
    z = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]).expand(4, 5)
    assert vicreg_terms(z, z)["covariance"].item() == pytest.approx(2 * 4 * (4 / 3) ** 2)


def test_equals_the_papers_equations() -> None:
    z_a, z_b = views()
    assert numbers(vicreg_terms(z_a, z_b)) == pytest.approx(plain(z_a, z_b), rel=1e-12)
    single = vicreg_terms(z_a.float(), z_b.float())
    assert numbers(single) == pytest.approx(plain(z_a, z_b), rel=1e-5)


def test_gradient_is_that_of_finite_differences() -> None:
    z_a, z_b = (z.requires_grad_() for z in views(6, 3))
    assert torch.autograd.gradcheck(lambda a, b: tuple(vicreg_terms(a, b).values()), (z_a, z_b))


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    loss = built("vicreg", sim_coeff=10.0, std_coeff=20.0, cov_coeff=3.0)(batch())
    parts = loss.parts
    expected = 10 * parts["invariance"] + 20 * parts["variance"] + 3 * parts["covariance"]
    torch.testing.assert_close(loss.value, expected)


def test_the_default_weights_are_the_papers() -> None:
    loss = built("vicreg")(batch())
    parts = loss.parts
    expected = 25 * parts["invariance"] + 25 * parts["variance"] + parts["covariance"]
    torch.testing.assert_close(loss.value, expected)


def test_refuses_views_that_are_not_two_equal_batches() -> None:
    with pytest.raises(ValueError, match=r"both must be \[B, d\]"):
        vicreg_terms(torch.zeros(4, 3), torch.zeros(4, 2))
