"""Pretraining: the state of a run, and the loop.

All random numbers follow from (seed, epoch) and (seed, step), never from torch's global
generators. So a run that is restored from its state continues bit for bit on the same device.
The caller decides when to save, what to measure and what to report.
Shapes: B images, N images of the pretraining split, d outputs of a method.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.overrides import wrap_torch_function

from sweep import encoders, methods
from sweep.config.models import AugmentConfig, TrainConfig
from sweep.config.study import TrialConfig
from sweep.core.errors import DataError
from sweep.methods.base import Batch, Facts, Loss, Method
from sweep.pretraining.augment import augment
from sweep.pretraining.cpu.convolution import SmallMaps
from sweep.pretraining.optim import learning_rate, make_optimizer
from sweep.pretraining.parallel.ranks import ONE, Ranks
from sweep.pretraining.precision import (
    Precision,
    autocast,
    deterministic_convolutions,
    resolve_precision,
)
from sweep.pretraining.seeds import generator

COLLAPSED_RATIO = 1e-6
"""Variance over mean square at or below which an output counts as constant: an own choice.

A standard deviation of a thousandth of the mean is below what bfloat16 resolves (2^-8).
"""

AVERAGED_STEPS = 20
"""Steps over which the parts of the loss are averaged: an own choice."""

Stats = Sequence[float] | npt.NDArray[np.float32]


def _tensors(
    images_BCHW: Tensor,
    config: AugmentConfig,
    generator: Generator,
    *,
    mean: Tensor,
    std: Tensor,
    rank: int = 0,
    processes: int = 1,
) -> tuple[Tensor, ...]:
    return images_BCHW, mean, std


_augment = wrap_torch_function(_tensors)(augment)
"""`augment` as one torch function, so that `SmallMaps` is called once for it and not 60 times.

This saves 0.4 ms a view: 2 % of a step of `small_conv` with 128 images of 8 pixels.
"""


@dataclass(kw_only=True, slots=True)
class Run:
    """The state of a run at one step; `pretrain` changes it in place.

    Args:
        method: in training; it holds the encoder.
        optimizer: over the method's parameters that take a gradient.
        precision: as computed on this device; `auto` is resolved.
        step: optimiser steps done.
        parts: parts of the loss at the last steps, the newest last.
    """

    method: Method
    optimizer: Optimizer
    precision: Precision
    step: int = 0
    parts: deque[Mapping[str, Tensor]] = field(default_factory=lambda: deque(maxlen=AVERAGED_STEPS))

    @property
    def encoder(self) -> nn.Module:
        """The network that is measured, probed and exported."""
        return self.method.encoder

    def mean_parts(self) -> dict[str, float]:
        """Return the parts of the loss, averaged over the last steps; waits for the device."""
        means = {}
        for name in self.parts[-1] if self.parts else ():
            values = [parts[name] for parts in self.parts if name in parts]
            means[name] = float(torch.stack(values).double().mean())
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, which `torch.load(weights_only=True)` reads."""
        return {
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "parts": [dict(parts) for parts in self.parts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned for a run of the same config."""
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.parts.clear()
        self.parts.extend(state["parts"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run is.

    Args:
        step: optimiser steps done.
        epoch: passes over the images done, a fraction.
        loss: of the last step's batch.
        status: `nonfinite` (loss or weights) or `degenerate` (no output of the method varies
            over the batch) ends the run.
    """

    step: int
    epoch: float
    loss: float
    status: Literal["ok", "nonfinite", "degenerate"]


def begin(config: TrialConfig, shape: tuple[int, int, int], device: str, *, images: int) -> Run:
    """Return a run at step 0, its weights drawn from the config's seed alone.

    Args:
        config: the candidate.
        shape: (C, H, W) of the images.
        device: where the networks go. The weights are drawn on the CPU, so they do not depend
            on the device.
        images: N.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which reseeds the GPUs as well.
        torch.default_generator.manual_seed(config.seed)
        method = build_method(config, shape, images=images)
    precision = resolve_precision(config.train.precision, device)
    method = method.to(device)
    if _channels_last(config.train, precision, device):
        method.to(memory_format=torch.channels_last)
    parameters = (weight for weight in method.parameters() if weight.requires_grad)
    return Run(
        method=method, optimizer=make_optimizer(parameters, config.train), precision=precision
    )


def build_method(
    config: TrialConfig,
    shape: tuple[int, int, int],
    *,
    images: int,
    encoder: nn.Module | None = None,
) -> Method:
    """Return the method of a candidate around its encoder, on torch's default device.

    Args:
        config: the candidate.
        shape: (C, H, W) of the images.
        images: N.
        encoder: the candidate's, if it is built already.

    Raises:
        ConfigError: the encoder or the method cannot be built.
    """
    if encoder is None:
        encoder = encoders.build(config.encoder, shape, seed=config.seed)
    facts = Facts(dim=int(encoder.dim), shape=shape, images=images)  # type: ignore[arg-type]  # build saw an int
    return methods.build(config.method, encoder, facts, seed=config.seed)


def total_steps(config: TrialConfig, images: int) -> int:
    """Return the optimiser steps of a whole run; an epoch's last, partial batch is dropped.

    Raises:
        DataError: fewer images than a batch.
    """
    batch = config.train.batch
    if images < batch:
        raise DataError(
            f"There are {images} images to pretrain on, fewer than train.batch = {batch}. "
            f"Set train.batch to {images} or less."
        )
    return config.train.epochs * (images // batch)


def look_step(fraction: float, steps: int) -> int:
    """Return the step after which a run of `steps` steps is looked at; 0 is before the first."""
    return round(fraction * steps)


def pretrain(
    run: Run,
    images: Tensor,
    config: TrialConfig,
    *,
    device: str,
    mean: Stats,
    std: Stats,
    heartbeat_seconds: float,
    marks: Sequence[int] = (),
    labels: Tensor | None = None,
    ranks: Ranks = ONE,
) -> Iterator[Progress]:
    """Train from `run.step` to the end, or until the run breaks down.

    To stop earlier, ask for no further `Progress`. Loss and outputs are checked only when a
    `Progress` is due, because the check waits for the device. A NaN stays a NaN until then.

    Args:
        run: from `begin`, with its state loaded if it is resumed; changed in place.
        images: uint8 [N, C, H, W], on `device` or in the CPU's memory.
        config: the candidate.
        device: where the run's networks are.
        mean, std: per channel, of the images in 0..1.
        heartbeat_seconds: longest time between two yields, plus at most one step.
        marks: further steps after which to yield.
        labels: int64 [N], of the images, for a method that uses them.
        ranks: the processes that train this run together. Each calls this function with the same
            config, and takes its part of each batch.

    Yields:
        Progress at each heartbeat, after each mark and at the end; nothing if `run` is at its
        end. The caller may set evaluation mode: each yield sets training mode again.

    Raises:
        DataError: fewer images than a batch.
    """
    train = config.train
    steps = total_steps(config, len(images))
    per_epoch = steps // train.epochs
    small_maps = nullcontext() if train.compile else SmallMaps()
    if train.compile:
        run.encoder.compile()
    layout = torch.contiguous_format
    if _channels_last(train, run.precision, device):
        layout = torch.channels_last
    mean_C, std_C = (
        torch.as_tensor(np.asarray(value), dtype=torch.float32, device=device)
        for value in (mean, std)
    )
    order_N, order_epoch = torch.empty(0), -1
    yielded_at = time.monotonic()
    run.method.train()
    while run.step < steps:
        epoch, position = divmod(run.step, per_epoch)
        if epoch != order_epoch:
            shuffle = generator("cpu", config.seed, "order", epoch)
            order_N = torch.randperm(len(images), generator=shuffle).to(images.device)
            order_epoch = epoch
        rows_B = ranks.part(order_N[position * train.batch : (position + 1) * train.batch])
        images_BCHW = images[rows_B].to(device, non_blocking=True)
        draws = generator(device, config.seed, "views", run.step)
        batch = Batch(
            images=images_BCHW,
            rows=rows_B.to(device, non_blocking=True),
            draws=draws,
            view=Views(
                images=images_BCHW,
                recipes=config.augment,
                draws=draws,
                mean=mean_C,
                std=std_C,
                layout=layout,
                rank=ranks.rank,
                processes=ranks.processes,
            ),
            done=run.step / steps,
            labels=None if labels is None else labels[rows_B].to(device, non_blocking=True),
            gather=ranks.gather,
            rank=ranks.rank,
            processes=ranks.processes,
        )
        with deterministic_convolutions():
            with autocast(run.precision, device), small_maps:
                loss = run.method(batch)
            run.optimizer.zero_grad()
            torch.autograd.backward(loss.value)
            loss = ranks.combine(loss, run.method.parameters())
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(
                run.step,
                peak=train.lr,
                warmup_steps=train.warmup_epochs * per_epoch,
                steps=steps,
            )
        run.optimizer.step()
        run.step += 1
        run.parts.append({name: part.detach() for name, part in loss.parts.items()})
        late = time.monotonic() - yielded_at >= heartbeat_seconds
        if late or run.step in marks or run.step == steps:
            status = _status(run, loss)
            ranks.check()
            yield Progress(
                step=run.step, epoch=run.step / per_epoch, loss=loss.value.item(), status=status
            )
            if status != "ok":
                return
            run.method.train()
            yielded_at = time.monotonic()


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """Draws random views of a batch, in float32 even if the method runs in a half precision.

    Args:
        images: uint8 [B, C, H, W].
        recipes: of the first and of the second view.
        draws: generator of the step.
        mean, std: per channel [C], of images in 0..1.
        layout: memory format of the views.
        rank, processes: which part of the batch the images are.
    """

    images: Tensor
    recipes: AugmentConfig
    draws: Generator
    mean: Tensor
    std: Tensor
    layout: torch.memory_format
    rank: int = 0
    processes: int = 1

    def __call__(self, *, second: bool = False) -> Tensor:
        """Return a view of each image, another one at each call."""
        recipe = self.recipes.recipe(second=second)
        with torch.autocast(self.images.device.type, enabled=False):
            x_BCHW = _augment(
                self.images,
                recipe,
                self.draws,
                mean=self.mean,
                std=self.std,
                rank=self.rank,
                processes=self.processes,
            )
        return x_BCHW.contiguous(memory_format=self.layout)


def _status(run: Run, loss: Loss) -> Literal["ok", "nonfinite", "degenerate"]:
    """Return whether loss, weights and outputs of a step are usable; see `Progress`."""
    weights = [weight.detach() for weight in run.method.parameters()]
    if not bool(torch.isfinite(loss.value.detach() + nn.utils.get_total_norm(weights))):
        return "nonfinite"
    if loss.outputs is None:
        return "ok"
    z_Bd = loss.outputs.detach().float()
    constant_d = z_Bd.var(0, correction=0) <= COLLAPSED_RATIO * z_Bd.square().mean(0)
    return "degenerate" if bool(constant_d.all()) else "ok"


def _channels_last(train: TrainConfig, precision: Precision, device: str) -> bool:
    """Return the config's choice; by default true on a CPU and in bfloat16, where it is faster."""
    if train.channels_last is not None:
        return train.channels_last
    return torch.device(device).type == "cpu" or precision == "bfloat16"
