"""The optimizers Adam and LARS, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import nn
from torch.optim import Adam, Optimizer

from sweep.config.models import TrainConfig


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> Optimizer:
    """Return the config's optimizer; the loop sets the learning rate of each step.

    Adam (Kingma and Ba 2015) with L2 in the gradient, as in alpha-ReQ's code, or `LARS`.
    """
    if config.optimizer == "lars":
        return LARS(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return Adam(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def learning_rate(step: int, *, peak: float, warmup_steps: float, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up to `peak`, then half a cosine to 0.

    Args:
        step: 0 to steps - 1.
        peak: the highest rate.
        warmup_steps: length of the warm-up, 0 for none.
        steps: of the whole run.

    Source: Loshchilov and Hutter, ICLR 2017, equation 5, without restarts; warm-up as in
    Goyal 2017, section 2.2.
    """
    if step < warmup_steps:
        return peak * min(1.0, (step + 1) / warmup_steps)
    done = (step - warmup_steps) / (steps - warmup_steps)
    return peak * (1 + math.cos(math.pi * done)) / 2


class LARS(Optimizer):
    """SGD with momentum, each weight's step scaled by its trust ratio.

        g = grad + weight_decay * w;  g *= trust * |w| / |g|;  v = momentum * v + g;  w -= lr * v

    Parameters with one axis (biases, norms) get neither weight decay nor ratio. Weights and
    gradients that are zero get no ratio. `torch.optim` has no LARS.

    Args:
        parameters: to optimize.
        lr: learning rate.
        weight_decay: L2 coefficient, added to the gradient of weights.
        momentum: of the velocity v.
        trust: coefficient of the ratio.

    Source: You, Gitman and Ginsburg 2017 (arXiv 1708.03888), algorithm 1; momentum, trust and
    the exemption of one-axis parameters from Barlow Twins' published code.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.9,
        trust: float = 0.001,
    ) -> None:
        super().__init__(
            parameters,
            {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "trust": trust},
        )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step along the gradients, which `closure` computes first if it is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: nn.Parameter, grad: torch.Tensor, group: dict[str, Any]) -> None:
        if weight.ndim > 1:
            grad = grad.add(weight, alpha=group["weight_decay"])
            weight_norm, grad_norm = (
                torch.linalg.vector_norm(weight),
                torch.linalg.vector_norm(grad),
            )
            ratio = group["trust"] * weight_norm / grad_norm
            # Decided on the device: an `if` would wait for the GPU.
            usable = (weight_norm > 0) & (grad_norm > 0)
            grad = grad * torch.where(usable, ratio, torch.ones_like(ratio))
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].mul_(group["momentum"]).add_(grad)
        weight.add_(state["momentum"], alpha=-group["lr"])
