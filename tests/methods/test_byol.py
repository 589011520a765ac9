from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sweep.methods.byol import Byol, byol_loss, tau_at
from tests.methods.batches import FixedViews, batch, built
from tests.runs import fresh, going, small_method, trial


def byol(**keys: Any) -> Byol:
    method = built("byol", **keys)
    assert isinstance(method, Byol)
    return method


def target(method: Byol) -> list[Tensor]:
    return [weight.detach().clone() for weight in method.target.parameters()]


def online(method: Byol) -> list[Tensor]:
    weights = [*method.encoder.parameters(), *method.projector.parameters()]
    return [weight.detach().clone() for weight in weights]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def move_online(method: Byol) -> None:
    """Change the online weights, as a step of the optimiser would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in [*method.encoder.parameters(), *method.projector.parameters()]:
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))


def test_the_loss_is_0_for_one_direction_2_for_a_right_angle_and_4_for_the_opposite() -> None:
    p = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert byol_loss(p, 5 * p).item() == pytest.approx(0, abs=1e-6)
    assert byol_loss(p, p.flip(1)).item() == pytest.approx(2)
    assert byol_loss(p, -p).item() == pytest.approx(4)


def test_equals_the_papers_equation() -> None:
    p, t = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(0)).double()
    unit_p, unit_t = p / p.norm(dim=1, keepdim=True), t / t.norm(dim=1, keepdim=True)
    expected = (unit_p - unit_t).square().sum(1).mean()
    assert byol_loss(p, t).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(("done", "tau"), [(0.0, 0.99), (0.5, 0.995), (1.0, 1.0)])
def test_tau_rises_from_its_start_to_one_with_half_a_cosine(done: float, tau: float) -> None:
    assert tau_at(done, start=0.99) == pytest.approx(tau)


def test_tau_is_the_papers_schedule_at_every_step() -> None:
    for step in range(101):
        papers = 1 - (1 - 0.996) * (math.cos(math.pi * step / 100) + 1) / 2
        assert tau_at(step / 100, start=0.996) == pytest.approx(papers, rel=1e-12)


def test_the_target_begins_as_a_copy_that_takes_no_gradient() -> None:
    method = byol()
    assert equal(target(method), online(method))
    assert not any(weight.requires_grad for weight in method.target.parameters())
    of_online = {id(weight) for weight in method.encoder.parameters()}
    assert not {id(weight) for weight in method.target.parameters()} & of_online


@pytest.mark.parametrize("done", [0.0, 0.5, 1.0])
def test_a_step_moves_the_target_by_one_minus_tau_towards_the_online_weights(done: float) -> None:
    method = byol(tau=0.9)
    move_online(method)
    before, moved = target(method), online(method)
    method(batch(done=done))
    tau = tau_at(done, start=0.9)
    for now, old, new in zip(target(method), before, moved, strict=True):
        torch.testing.assert_close(now, tau * old + (1 - tau) * new, rtol=1e-4, atol=1e-5)
    assert equal(online(method), moved)


def test_at_the_end_and_with_tau_one_the_target_stands_still() -> None:
    for method, done in ((byol(tau=0.5), 1.0), (byol(tau=1.0), 0.0)):
        move_online(method)
        before = target(method)
        method(batch(done=done))
        assert equal(target(method), before)


def test_neither_the_gradient_nor_the_optimiser_moves_the_target() -> None:
    config = trial(method=small_method("byol"))
    run = fresh(config)
    assert isinstance(run.method, Byol)
    optimised = {id(w) for group in run.optimizer.param_groups for w in group["params"]}
    assert not {id(weight) for weight in run.method.target.parameters()} & optimised
    before, started = target(run.method), online(run.method)
    next(going(run, config))  # in the first step the target equals the online networks
    assert equal(target(run.method), before)
    assert not equal(online(run.method), started)
    assert all(weight.grad is None for weight in run.method.target.parameters())


def test_the_target_moves_once_a_step_in_a_real_run() -> None:
    config = trial(method={**small_method("byol"), "tau": 0.5}, train={"precision": "float32"})
    run = fresh(config)
    assert isinstance(run.method, Byol)
    expected, moved = target(run.method), online(run.method)
    for progress in going(run, config):
        share = 1 - tau_at((progress.step - 1) / 15, start=0.5)
        expected = [old.lerp(new, share) for old, new in zip(expected, moved, strict=True)]
        torch.testing.assert_close(target(run.method), expected, rtol=1e-5, atol=1e-6)
        moved = online(run.method)


def test_the_loss_predicts_the_target_of_the_other_view_in_both_directions() -> None:
    method = byol()
    move_online(method)
    given = batch(done=1.0)  # the target stands still
    views = given.view
    assert isinstance(views, FixedViews)
    loss = method(given)
    assert views.asked == [False, True]
    x_a, x_b = views(), views(second=True)
    with torch.no_grad():
        p_a, p_b = (method.predictor(method.projector(method.encoder(x))) for x in (x_a, x_b))
        t_a, t_b = (method.target(x) for x in (x_a, x_b))
    expected = byol_loss(p_a, t_b) + byol_loss(p_b, t_a)
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(loss.parts["regression"], expected / 2)


def test_projector_and_predictor_are_the_authors() -> None:
    method = byol()
    for head, inputs in ((method.projector, 256), (method.predictor, 16)):
        assert isinstance(head, nn.Sequential)
        assert [type(m).__name__ for m in head] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
        linear = [m for m in head if isinstance(m, nn.Linear)]
        assert [(m.in_features, m.out_features) for m in linear] == [(inputs, 32), (32, 16)]
        assert linear[-1].bias is None
