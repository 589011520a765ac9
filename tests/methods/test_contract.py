"""What every objective keeps to."""

from __future__ import annotations

import pytest
import torch

from sweep.config.models import ObjectiveConfig
from sweep.core.errors import ConfigError
from sweep.core.plugins import resolve
from sweep.methods import OBJECTIVES

pytestmark = pytest.mark.parametrize("name", OBJECTIVES)


def views(batch: int = 16, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    z_a, z_b = torch.randn(2, batch, d, generator=generator)
    return z_a, z_b


def test_returns_a_finite_scalar_with_gradients_for_both_views(name: str) -> None:
    z_a, z_b = (z.requires_grad_() for z in views())
    loss = OBJECTIVES[name](ObjectiveConfig(name=name))(z_a, z_b)
    torch.autograd.backward(loss)
    assert loss.shape == ()
    for z in (z_a, z_b):
        assert z.grad is not None
        assert z.grad.isfinite().all()
        assert z.grad.abs().sum() > 0


def test_does_not_depend_on_the_order_of_images_or_of_units(name: str) -> None:
    objective = OBJECTIVES[name](ObjectiveConfig(name=name))
    z_a, z_b = views()
    images, units = torch.randperm(16), torch.randperm(6)
    expected = objective(z_a, z_b)
    torch.testing.assert_close(objective(z_a[images], z_b[images]), expected)
    torch.testing.assert_close(objective(z_a[:, units], z_b[:, units]), expected)


def test_leaves_its_arguments_and_the_global_generator_alone(name: str) -> None:
    z_a, z_b = views()
    before, state = (z_a.clone(), z_b.clone()), torch.get_rng_state()
    OBJECTIVES[name](ObjectiveConfig(name=name))(z_a, z_b)
    assert torch.equal(z_a, before[0])
    assert torch.equal(z_b, before[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_refuses_options_that_it_does_not_know(name: str) -> None:
    with pytest.raises(ConfigError, match=r"objective\.options has temperature"):
        OBJECTIVES[name](ObjectiveConfig(name=name, options={"temperature": 1}))


def test_an_unknown_name_names_the_nearest(name: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{name}'"):
        resolve("The objective", name[:-1], OBJECTIVES)
