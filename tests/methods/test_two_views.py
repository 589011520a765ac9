"""What holds for every method whose loss compares the projections of two views."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from sweep.methods.barlow_twins import cross_correlation, diagonal_terms
from sweep.methods.simclr import nt_xent
from sweep.methods.two_views import TwoViews
from sweep.methods.vicreg import vicreg_terms
from tests.methods.batches import FixedViews, batch, built

Parts = Mapping[str, Tensor]


def barlow_twins_parts(z_a: Tensor, z_b: Tensor) -> Parts:
    on, off = diagonal_terms(cross_correlation(z_a, z_b))
    return {"invariance": on / z_a.shape[1], "redundancy": off / z_a.shape[1]}


def simclr_parts(z_a: Tensor, z_b: Tensor) -> Parts:
    return nt_xent(z_a, z_b, temperature=0.5)[1]


PARTS: Mapping[str, Callable[[Tensor, Tensor], Parts]] = {
    "barlow_twins": barlow_twins_parts,
    "simclr": simclr_parts,
    "vicreg": vicreg_terms,
}

OVER_OTHER_OUTPUTS = ("redundancy", "covariance")
"""Parts that add up over the d - 1 other outputs of each output."""


def parts_of_random_projections(parts_of: Callable[[Tensor, Tensor], Parts], d: int) -> Parts:
    """Return parts of features in two views, averaged over random projections to d outputs."""
    generator = torch.Generator().manual_seed(0)
    h_a, noise = torch.randn(2, 512, 64, generator=generator, dtype=torch.float64)
    h_b = h_a + 0.5 * noise
    draws = [
        parts_of(h_a @ projection, h_b @ projection)
        for projection in torch.randn(40, 64, d, generator=generator, dtype=torch.float64) / 10
    ]
    return {name: torch.stack([parts[name] for parts in draws]).mean() for name in draws[0]}


@pytest.mark.parametrize("name", ["barlow_twins", "vicreg"])
def test_parts_of_random_projections_are_alike_for_16_and_256_outputs(name: str) -> None:
    few, many = (parts_of_random_projections(PARTS[name], d) for d in (16, 256))
    for part in few:
        per_pair = (15, 255) if part in OVER_OTHER_OUTPUTS else (1, 1)
        expected = few[part].item() / per_pair[0]
        assert many[part].item() / per_pair[1] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", PARTS)
def test_the_method_reports_these_parts(name: str) -> None:
    method, given = built(name), batch()
    assert isinstance(method, TwoViews)
    parts = method(given).parts
    views = given.view
    assert isinstance(views, FixedViews)
    with torch.no_grad():
        z_a, z_b = (method.projector(method.encoder(views(second=s))) for s in (False, True))
    torch.testing.assert_close(dict(parts), dict(PARTS[name](z_a, z_b)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("joint", [False, True])
def test_it_draws_a_first_and_a_second_view(name: str, joint: bool) -> None:
    given = batch()
    built(name, joint_batch_norm=joint)(given)
    assert isinstance(given.view, FixedViews)
    assert given.view.asked == [False, True]


@pytest.mark.parametrize("name", PARTS)
def test_gather_passes_the_gradient_of_all_ranks(name: str) -> None:
    gathering, larger = built(name), built(name)
    torch.autograd.backward(gathering(batch(gather=lambda z: torch.cat([z, z]))).value)
    torch.autograd.backward(larger(batch(copies=2)).value)
    pairs = zip(gathering.encoder.parameters(), larger.encoder.parameters(), strict=True)
    for of_gather, of_copies in pairs:
        torch.testing.assert_close(of_gather.grad, of_copies.grad, rtol=1e-2, atol=1e-4)
