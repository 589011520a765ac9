"""The bench of training: images per second of a machine that pretrains, ours and the plain way.

A CPU is used as in a study with `resources.cpu = 1`: each core has a process of one thread, and
all processes train at once. Ours and the plain way have processes of their own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models, transforms

from sweep.bench.timing import Figure, in_turn, of_ceiling
from sweep.config.models import (
    AugmentConfig,
    CriteriaConfig,
    DataConfig,
    EncoderConfig,
    MethodConfig,
    ProbeConfig,
    TrainConfig,
)
from sweep.config.study import TrialConfig
from sweep.pretraining.cpu.allocator import keep_freed_memory
from sweep.pretraining.train import Progress, begin, pretrain

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Mean and standard deviation of CIFAR-10's channels."""

LAMBD = 5e-3


def run(
    *,
    repeats: int = 3,
    device: str = "cpu",
    images: int = 1024,
    batch: int = 256,
    d: int = 2048,
    side: int = 32,
    steps: int | None = None,
    workers: int | None = None,
) -> Figure:
    """Time Barlow Twins with a ResNet-18 (CIFAR stem) on random images. Ours is `pretrain`.

    Wanted: 3 times the baseline's images/s on a processor with AMX, and at least as many
    elsewhere. Each way continues its training from repeat to repeat. The first run of each is a
    warm-up and is not timed.

    Args:
        repeats: timed runs of each.
        device: where it trains.
        images: images in memory, at least `batch`.
        batch: images in a step.
        d: units of the projector.
        side: height and width of the images, in pixels.
        steps: steps of a run. Default: 1, and 20 on a GPU.
        workers: processes of one thread each that train at once; their images are added up.
            Default: one for each core, and on a GPU this process alone.
    """
    on_gpu = torch.device(device).type == "cuda"
    count = steps or (20 if on_gpu else 1)
    sizes = Sizes(images=images, batch=batch, d=d, side=side, steps=count)
    workers = workers or (1 if on_gpu else os.cpu_count() or 1)
    with contextlib.ExitStack() as stack:
        if workers > 1:
            ours, baseline = (
                stack.enter_context(team(workers, way, sizes, device))
                for way in ("ours", "baseline")
            )
        else:
            ours, baseline = (_work(way, sizes, device) for way in ("ours", "baseline"))
        flop = 0
        if on_gpu:
            with FlopCounterMode(display=False) as counter:
                ours()
            flop = counter.get_total_flops()
        timing = in_turn(ours, baseline, repeats=repeats, device=device)
    extra = of_ceiling(flop, statistics.median(timing.ours), device) if on_gpu else {}
    return timing.figure(
        "train",
        device=device,
        items=workers * count * batch,
        batch=batch,
        d=d,
        side=side,
        workers=workers,
        **extra,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Of the work: images in memory, images in a step, units, pixels of a side, and steps."""

    images: int
    batch: int
    d: int
    side: int
    steps: int


Work = Callable[[], None]


def _work(way: str, sizes: Sizes, device: str) -> Work:
    """Return a function that takes `sizes.steps` steps, our way or the plain way."""
    draws = np.random.default_rng(0)
    shape = (sizes.images, 3, sizes.side, sizes.side)
    images_NCHW = draws.integers(0, 256, shape, dtype=np.uint8)
    if way == "ours":
        runs = _ours(images_NCHW, device, sizes.batch, sizes.d, sizes.steps)
    else:
        plain = _baseline(images_NCHW, device, sizes.batch, sizes.d)

    def ours() -> None:
        if (progress := next(runs)).status != "ok":
            raise RuntimeError(f"Training failed in the bench: {progress}.")

    def baseline() -> None:
        for _ in range(sizes.steps):
            plain()

    return ours if way == "ours" else baseline


@contextlib.contextmanager
def team(workers: int, way: str, sizes: Sizes, device: str) -> Iterator[Work]:
    """Yield a function that lets several processes of one thread take the steps at once."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(workers)]
    team = [
        context.Process(target=_member, args=(theirs, way, sizes, device), daemon=True)
        for _, theirs in pipes
    ]
    for member in team:
        member.start()

    def work() -> None:
        for here, _ in pipes:
            here.send(None)
        for here, _ in pipes:
            here.recv()  # EOFError if a member died

    for _, theirs in pipes:
        theirs.close()
    try:
        yield work
    finally:
        for member in team:
            member.terminate()
            member.join()


def _member(orders: Connection, way: str, sizes: Sizes, device: str) -> None:
    torch.set_num_threads(1)
    work = _work(way, sizes, device)
    while True:
        orders.recv()
        work()
        orders.send(None)


def _ours(
    images_NCHW: npt.NDArray[np.uint8], device: str, batch: int, d: int, count: int
) -> Iterator[Progress]:
    """Return the pretraining of a trial. Each `next` takes `count` steps."""
    config = TrialConfig(
        data=DataConfig(),
        encoder=EncoderConfig(name="resnet18"),
        method=MethodConfig.model_validate({"d": d, "lambd": LAMBD}),
        augment=AugmentConfig(),
        train=TrainConfig(batch=batch, epochs=10_000),
        criteria=CriteriaConfig(),
        probe=ProbeConfig(),
        seed=0,
    )
    shape = (3, images_NCHW.shape[2], images_NCHW.shape[3])
    if device == "cpu":
        keep_freed_memory()  # as `sweep.pretraining.trial` does
    return pretrain(
        begin(config, shape, device, images=len(images_NCHW)),
        torch.from_numpy(images_NCHW).to(device),
        config,
        device=device,
        mean=MEAN,
        std=STD,
        heartbeat_seconds=float("inf"),
        marks=range(count, 1_000_000, count),
    )


class _Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Two views of each image, made by torchvision's transforms."""

    def __init__(self, images_NCHW: npt.NDArray[np.uint8]) -> None:
        self._images = [Image.fromarray(image) for image in images_NCHW.transpose(0, 2, 3, 1)]
        self._view = transforms.Compose(
            [
                transforms.RandomResizedCrop(images_NCHW.shape[2:], scale=(0.08, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4)], p=0.8),
                transforms.RandomGrayscale(0.2),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._view(self._images[index]), self._view(self._images[index])


def _baseline(
    images_NCHW: npt.NDArray[np.uint8], device: str, batch: int, d: int
) -> Callable[[], None]:
    """Return a function that takes one step of the plain way.

    The plain way is a DataLoader, float32, contiguous tensors and two forward passes. On a CPU the
    loader works in the training process, since all cores are busy. For a GPU it has one process
    for each core, up to 16.
    """
    encoder = models.resnet18()
    encoder.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    encoder.maxpool = nn.Identity()
    encoder.fc = nn.Identity()
    projector = nn.Sequential(
        nn.Linear(512, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, d)
    )
    model = nn.Sequential(encoder, projector).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    workers = 0 if torch.device(device).type == "cpu" else min(16, os.cpu_count() or 1)
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        _Pairs(images_NCHW),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    batches = chain.from_iterable(iter(loader) for _ in range(1_000_000))

    def step() -> None:
        x_a, x_b = (x.to(device) for x in next(batches))
        loss = _loss(model(x_a), model(x_b))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def _loss(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Return the loss as algorithm 1 of the Barlow Twins paper writes it."""
    a, b = ((z - z.mean(0)) / z.std(0) for z in (z_a, z_b))
    c = a.T @ b / len(a)
    difference = (c - torch.eye(len(c), device=c.device)).square()
    weights = torch.full_like(c, LAMBD).fill_diagonal_(1)
    return (weights * difference).sum()
