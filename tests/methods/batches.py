"""Batches for a method that is called outside the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from sweep.methods import Batch, Method
from sweep.methods.base import identity
from sweep.pretraining.train import build_method
from tests.runs import SHAPE, small_method, trial

IMAGES = 40


def built(name: str, *, seed: int = 0, **keys: Any) -> Method:
    """Return a small method for 40 images, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        config = trial(method={**small_method(name), **keys})
        return build_method(config, SHAPE, images=IMAGES).train()


class FixedViews:
    """Views that were drawn before: the first for `view()`, the second for `view(second=True)`."""

    def __init__(self, x_a: Tensor, x_b: Tensor) -> None:
        self._views = (x_a, x_b)
        self.asked: list[bool] = []

    def __call__(self, *, second: bool = False) -> Tensor:
        self.asked.append(second)
        return self._views[second]


def batch(
    size: int = 8,
    *,
    done: float = 0.5,
    seed: int = 0,
    copies: int = 1,
    gather: Callable[[Tensor], Tensor] = identity,
) -> Batch:
    """Return a batch of random images, with a second view that resembles the first.

    Args:
        size: images, before they are repeated `copies` times.
        done: share of training that is done.
        seed: of images and views.
        copies: how often the batch is repeated.
        gather: as in `Batch`.
    """
    generator = Generator().manual_seed(seed)
    images = torch.randint(0, 256, (size, *SHAPE), generator=generator, dtype=torch.uint8)
    x_a, noise = torch.randn(2, size, *SHAPE, generator=generator)
    x_b = x_a + 0.3 * noise
    return Batch(
        images=images.repeat(copies, 1, 1, 1),
        rows=torch.arange(size).repeat(copies) + 2,
        draws=generator,
        view=FixedViews(x_a.repeat(copies, 1, 1, 1), x_b.repeat(copies, 1, 1, 1)),
        done=done,
        gather=gather,
    )
