"""Pretraining: the state of a run, and the loop.

All randomness is drawn from (seed, epoch) and (seed, step), never from torch's global
generators, so that a run restored from its state goes on bit for bit on the same device.
When to save, what to measure and what to report are the caller's.
Shapes: B images, d units of the projector.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from sweep.config.models import ProjectorConfig, TrainConfig, TrialConfig
from sweep.core.errors import DataError
from sweep.core.plugins import resolve
from sweep.encoders import build
from sweep.methods import OBJECTIVES
from sweep.pretraining.augment import augment
from sweep.pretraining.cpu.convolution import SmallMaps
from sweep.pretraining.optim import learning_rate, make_optimizer
from sweep.pretraining.precision import Precision, autocast, resolve_precision

COLLAPSED = 1e-6
"""Variance over mean square of a unit, at and under which it says nothing: an own choice.

A deviation of a thousandth of the size is below what bfloat16 tells apart (2^-8).
"""

Stats = Sequence[float] | npt.NDArray[np.float32]


@dataclass(kw_only=True, slots=True)
class Run:
    """What a run is at one moment; `pretrain` moves it on in place.

    Args:
        encoder, projector: the networks, in training.
        optimizer: over the parameters of both.
        precision: what `auto` became on this device.
        step: optimiser steps done.
    """

    encoder: nn.Module
    projector: nn.Sequential
    optimizer: Optimizer
    precision: Precision
    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, which `torch.load(weights_only=True)` reads."""
        return {
            "encoder": self.encoder.state_dict(),
            "projector": self.projector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, of a run of the same config."""
        self.encoder.load_state_dict(state["encoder"])
        self.projector.load_state_dict(state["projector"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run is.

    Args:
        step: optimiser steps done.
        epoch: passes over the images done, a fraction.
        loss: of the last step's batch.
        status: `nonfinite` (loss or weights) and `degenerate` (no unit of the projector
            varies over the batch) end the run.
    """

    step: int
    epoch: float
    loss: float
    status: Literal["ok", "nonfinite", "degenerate"]


def begin(config: TrialConfig, shape: tuple[int, int, int], device: str) -> Run:
    """Return a run at step 0, its weights drawn from the config's seed alone.

    Args:
        config: the candidate.
        shape: (C, H, W) of the images.
        device: where the networks go; the weights are drawn on the CPU and do not depend on it.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which reseeds the GPUs as well.
        torch.default_generator.manual_seed(config.seed)
        encoder = build(config.encoder, shape)
        projector = make_projector(int(encoder.dim), config.projector)  # type: ignore[arg-type]  # build saw an int
    precision = resolve_precision(config.train.precision, device)
    encoder, projector = encoder.to(device), projector.to(device)
    if _channels_last(config.train, precision, device):
        encoder = encoder.to(memory_format=torch.channels_last)
    parameters = chain(encoder.parameters(), projector.parameters())
    return Run(
        encoder=encoder,
        projector=projector,
        optimizer=make_optimizer(parameters, config.train),
        precision=precision,
    )


def make_projector(dim: int, config: ProjectorConfig) -> nn.Sequential:
    """Return Linear-BN-ReLU ... Linear from `dim` features to d units.

    Before a batch norm no bias, in the last layer one, as in alpha-ReQ's code (fastssl).
    """
    hidden = config.hidden or config.d
    layers: list[nn.Module] = []
    for _ in range(config.layers - 1):
        layers += [
            nn.Linear(dim, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
        ]
        dim = hidden
    return nn.Sequential(*layers, nn.Linear(dim, config.d))


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
) -> Iterator[Progress]:
    """Train from `run.step` to the end, or to a breakdown; stop asking to stop it.

    Loss and projections are looked at only where a `Progress` is due, for that waits for
    the device; what is no number stays so until then.

    Args:
        run: from `begin`, with its state loaded where it is resumed; changed in place.
        images: uint8 [N, C, H, W], on `device` or in the CPU's memory.
        config: the candidate.
        device: where the run's networks are.
        mean, std: per channel, of the images in 0..1.
        heartbeat_seconds: at most so long, and one step, between two yields.
        marks: steps after which to yield besides.

    Yields:
        Progress at each heartbeat, after each mark and at the end; nothing where `run` is at
        its end. What the caller does to the networks' mode meanwhile is undone.

    Raises:
        DataError: fewer images than a batch.
    """
    train = config.train
    steps = total_steps(config, len(images))
    per_epoch = steps // train.epochs
    objective = resolve("The objective", config.objective.name, OBJECTIVES)(config.objective)
    encoder = torch.compile(run.encoder) if train.compile else run.encoder
    small_maps = nullcontext() if train.compile else SmallMaps()
    layout = torch.contiguous_format
    if _channels_last(train, run.precision, device):
        layout = torch.channels_last
    mean_C, std_C = (
        torch.as_tensor(np.asarray(value), dtype=torch.float32, device=device)
        for value in (mean, std)
    )
    order_N, order_epoch = torch.empty(0), -1
    yielded_at = time.monotonic()
    run.encoder.train()
    run.projector.train()
    while run.step < steps:
        epoch, position = divmod(run.step, per_epoch)
        if epoch != order_epoch:
            shuffle = _generator("cpu", config.seed, "order", epoch)
            order_N = torch.randperm(len(images), generator=shuffle).to(images.device)
            order_epoch = epoch
        rows_B = order_N[position * train.batch : (position + 1) * train.batch]
        batch = images[rows_B].to(device, non_blocking=True)
        draws = _generator(device, config.seed, "views", run.step)
        x_a, x_b = (
            augment(batch, config.augment, draws, mean=mean_C, std=std_C).contiguous(
                memory_format=layout
            )
            for _ in range(2)
        )
        with autocast(run.precision, device), small_maps:
            if train.joint_batch_norm:
                z_a, z_b = run.projector(encoder(torch.cat([x_a, x_b]))).chunk(2)
            else:
                z_a, z_b = run.projector(encoder(x_a)), run.projector(encoder(x_b))
        loss = objective(z_a.float(), z_b.float())
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(
                run.step,
                peak=train.lr,
                warmup_steps=train.warmup_epochs * per_epoch,
                steps=steps,
            )
        run.optimizer.zero_grad()
        torch.autograd.backward(loss)
        run.optimizer.step()
        run.step += 1
        late = time.monotonic() - yielded_at >= heartbeat_seconds
        if late or run.step in marks or run.step == steps:
            status = _status(run, loss, z_a)
            yield Progress(
                step=run.step, epoch=run.step / per_epoch, loss=loss.item(), status=status
            )
            if status != "ok":
                return
            run.encoder.train()
            run.projector.train()
            yielded_at = time.monotonic()


def _status(run: Run, loss: Tensor, z_Bd: Tensor) -> Literal["ok", "nonfinite", "degenerate"]:
    weights = [*run.encoder.parameters(), *run.projector.parameters()]
    norm = nn.utils.get_total_norm([weight.detach() for weight in weights])
    if not bool(torch.isfinite(loss.detach() + norm)):
        return "nonfinite"
    z_Bd = z_Bd.detach().float()
    gone_d = z_Bd.var(0, correction=0) <= COLLAPSED * z_Bd.square().mean(0)
    return "degenerate" if bool(gone_d.all()) else "ok"


def _channels_last(train: TrainConfig, precision: Precision, device: str) -> bool:
    """Channels last is faster on a CPU, and in a GPU's bfloat16 kernels."""
    if train.channels_last is not None:
        return train.channels_last
    return torch.device(device).type == "cpu" or precision == "bfloat16"


def _generator(device: str, seed: int, name: str, number: int) -> Generator:
    """Return a generator whose draws follow from seed, name and number."""
    text = f"{seed}/{name}/{number}".encode()
    start = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return Generator(device).manual_seed(start >> 1)
