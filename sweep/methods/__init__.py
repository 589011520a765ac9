"""Objectives: a function of the two views' projections that returns the loss.

A member is made from an `ObjectiveConfig`. It sees the whole batch of one trial on one
device: a loss that correlates over the batch would mean something else on a part of it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sweep.config.models import ObjectiveConfig
from sweep.methods.barlow_twins import barlow_twins

Objective = Callable[[Tensor, Tensor], Tensor]
"""z_a, z_b [B, d], floating point -> scalar, differentiable."""

OBJECTIVES: dict[str, Callable[[ObjectiveConfig], Objective]] = {
    "barlow_twins": barlow_twins,
}
