"""Barlow Twins as the first version of this package trained it: the reference for the same numbers.

Loss and loop are kept as they were before methods became modules, reduced to float32 on a CPU.
"""

from __future__ import annotations

import hashlib
from itertools import chain

import torch
from torch import Generator, Tensor, nn

from sweep import encoders
from sweep.config.study import TrialConfig
from sweep.pretraining.augment import augment
from sweep.pretraining.cpu.convolution import SmallMaps
from sweep.pretraining.optim import learning_rate, make_optimizer


def train(
    config: TrialConfig, images: Tensor, *, mean: list[float], std: list[float]
) -> tuple[nn.Module, nn.Module]:
    """Return encoder and projector after a whole run.

    Args:
        config: its method is `barlow_twins` with d, layers, lambd and joint_batch_norm.
        images: uint8 [N, C, H, W].
        mean, std: per channel, of the images in 0..1.
    """
    keys, settings = config.method.parameters, config.train
    _, channels, height, width = images.shape
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        encoder = encoders.build(config.encoder, (channels, height, width))
        projector = _projector(int(encoder.dim), keys["d"], layers=keys["layers"])  # type: ignore[arg-type]  # build saw an int
    encoder = encoder.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(chain(encoder.parameters(), projector.parameters()), settings)
    per_epoch = len(images) // settings.batch
    steps = settings.epochs * per_epoch
    encoder.train()
    projector.train()
    for step in range(steps):
        epoch, position = divmod(step, per_epoch)
        order_N = torch.randperm(len(images), generator=_generator(config.seed, "order", epoch))
        rows_B = order_N[position * settings.batch : (position + 1) * settings.batch]
        draws = _generator(config.seed, "views", step)
        x_a, x_b = (
            augment(
                images[rows_B],
                config.augment,
                draws,
                mean=torch.tensor(mean),
                std=torch.tensor(std),
            ).contiguous(memory_format=torch.channels_last)
            for _ in range(2)
        )
        with SmallMaps():
            if keys["joint_batch_norm"]:
                z_a, z_b = projector(encoder(torch.cat([x_a, x_b]))).chunk(2)
            else:
                z_a, z_b = projector(encoder(x_a)), projector(encoder(x_b))
        loss = barlow_twins_loss(z_a.float(), z_b.float(), lambd=keys["lambd"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                step,
                peak=settings.lr,
                warmup_steps=settings.warmup_epochs * per_epoch,
                steps=steps,
            )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return encoder, projector


def barlow_twins_loss(z_a: Tensor, z_b: Tensor, *, lambd: float) -> Tensor:
    """Return sum_i (1 - C_ii)^2 + lambd * sum_{i != j} C_ij^2."""
    batch, d = z_a.shape
    c_dd = _standardised(z_a).T @ _standardised(z_b) / batch
    on_diagonal = (1 - c_dd.diagonal()).square().sum()
    off_diagonal = c_dd.flatten()[:-1].view(d - 1, d + 1)[:, 1:].square().sum()
    return on_diagonal + lambd * off_diagonal


def _standardised(z_Bd: Tensor) -> Tensor:
    centred_Bd = z_Bd - z_Bd.mean(0)
    return centred_Bd * (centred_Bd.square().mean(0) + 1e-5).rsqrt()


def _projector(dim: int, d: int, *, layers: int) -> nn.Sequential:
    modules: list[nn.Module] = []
    for _ in range(layers - 1):
        modules += [nn.Linear(dim, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(inplace=True)]
        dim = d
    return nn.Sequential(*modules, nn.Linear(dim, d))


def _generator(seed: int, name: str, number: int) -> Generator:
    text = f"{seed}/{name}/{number}".encode()
    start = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return Generator("cpu").manual_seed(start >> 1)
