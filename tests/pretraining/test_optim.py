from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from sweep.config.models import TrainConfig
from sweep.pretraining.optim import LARS, learning_rate, make_optimizer


def rates(steps: int, warmup: float) -> list[float]:
    return [learning_rate(s, peak=2.0, warmup_steps=warmup, steps=steps) for s in range(steps)]


def test_the_rate_climbs_a_line_and_falls_along_half_a_cosine() -> None:
    found = rates(12, 4)
    assert found[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert found[8] == pytest.approx(1.0)
    assert found[4:] == sorted(found[4:], reverse=True)
    assert 0 < found[-1] < 0.1


def test_without_warm_up_the_first_rate_is_the_highest() -> None:
    assert rates(10, 0)[0] == 2.0
    assert max(rates(10, 2.5)) <= 2.0
    assert rates(3, 3) == pytest.approx([2 / 3, 4 / 3, 2.0])


def test_lars_steps_by_the_trust_ratio_with_momentum() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    optimizer = LARS([weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.tensor([[0.0, 1.0]])
    g = torch.tensor([[1.5, 3.0]])
    v = 0.001 * 5 / g.norm() * g
    optimizer.step()
    torch.testing.assert_close(weight.data, torch.tensor([[3.0, 4.0]]) - 0.1 * v)
    before = weight.data.clone()
    g = torch.tensor([[0.0, 1.0]]) + 0.5 * before
    v = 0.9 * v + 0.001 * before.norm() / g.norm() * g
    optimizer.step()
    torch.testing.assert_close(weight.data, before - 0.1 * v)


def test_lars_moves_biases_and_norms_as_plain_sgd_without_decay() -> None:
    bias = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = LARS([bias], lr=0.1, weight_decay=0.5)
    bias.grad = torch.tensor([0.0, 1.0])
    optimizer.step()
    torch.testing.assert_close(bias.data, torch.tensor([3.0, 3.9]))


def test_lars_leaves_zeros_finite() -> None:
    zero, still = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = LARS([zero, still], lr=0.1, weight_decay=0.0)
    zero.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    optimizer.step()
    torch.testing.assert_close(zero.data, torch.full((2, 2), -0.1))
    torch.testing.assert_close(still.data, torch.ones(2, 2))


@pytest.mark.parametrize("name", ["adam", "lars"])
def test_an_optimizer_restored_from_its_state_goes_on_alike(
    name: Literal["adam", "lars"],
) -> None:
    def trained(steps: int, restored_at: int | None) -> torch.Tensor:
        weight = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        config = TrainConfig(optimizer=name, lr=0.1)
        optimizer = make_optimizer([weight], config)
        for step in range(steps):
            if step == restored_at:
                state = optimizer.state_dict()
                optimizer = make_optimizer([weight], config)
                optimizer.load_state_dict(state)
            weight.grad = weight.detach() - step
            optimizer.step()
        return weight.data

    assert torch.equal(trained(5, None), trained(5, 2))
