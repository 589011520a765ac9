"""What a study will take, before it runs: disk, time and money, from a few real steps.

The smallest and the largest candidate are each trained for a moment on this machine; time
grows with the steps, and the rest is divided among the workers. A heuristic: trials at
work at once slow each other down, and a cluster's devices may be others than this one's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from sweep.config.models import TrialConfig
from sweep.config.space import Candidate
from sweep.datasets.cache import Data
from sweep.encoders import build
from sweep.launch.preflight import Prepared
from sweep.pretraining import train
from sweep.pretraining.images import training_images
from sweep.runners.devices import Devices

SECONDS = 3.0
"""How long each of the two candidates is trained at least, beyond its first step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a study will take.

    Args:
        trial_seconds: of pretraining, for the smallest and the largest candidate.
        wall_seconds: of the whole, all candidates pretrained.
        device_seconds: likewise.
        money: device-hours times their price.
        disk_bytes: encoders kept at the most, and the data's cache.
    """

    trial_seconds: tuple[float, float]
    wall_seconds: float
    device_seconds: float
    money: float
    disk_bytes: int


def estimate(prepared: Prepared, devices: Devices) -> Estimate | None:
    """Return what the study will take, or None for training code of one's own."""
    data = prepared.data
    if data is None:
        return None
    torch.set_num_threads(devices.cpu)
    ordered = sorted(prepared.candidates, key=lambda candidate: _size(candidate, prepared))
    ends = (ordered[0], ordered[-1])
    least, most = (_trial_seconds(end.config, data, devices) for end in ends)
    budget = prepared.config.budget.trials
    trials = min(len(ordered), budget or len(ordered))
    total = trials * (least + most) / 2
    device_seconds = total * devices.share
    encoder_bytes = sum(p.numel() * 4 for p in _encoder(ends[1], data).parameters())
    splits = data.splits
    pixels = sum(s.images.size for s in (splits.pretrain, splits.validation, splits.test))
    return Estimate(
        trial_seconds=(least, most),
        wall_seconds=total / min(devices.parallel, trials),
        device_seconds=device_seconds,
        money=device_seconds / 3600 * prepared.config.resources.price_per_device_hour,
        disk_bytes=encoder_bytes * trials + pixels,
    )


def _trial_seconds(config: TrialConfig, data: Data, devices: Devices) -> float:
    device = "cuda" if devices.gpu else "cpu"
    run = train.begin(config, data.shape, device, images=len(data.splits.pretrain))
    images, labels = training_images(
        run.method, data.splits, name=config.method.name, device=device
    )
    steps = train.total_steps(config, len(images))
    began, first = 0.0, 0
    for progress in train.pretrain(
        run,
        images,
        config,
        device=device,
        mean=data.mean,
        std=data.std,
        heartbeat_seconds=0.0,
        labels=labels,
    ):
        if first == 0:  # warm-up: compilation, allocation
            began, first = time.perf_counter(), progress.step
        elif time.perf_counter() - began >= SECONDS:
            return (time.perf_counter() - began) / (progress.step - first) * steps
    done = max(1, run.step - first)
    return (time.perf_counter() - began) / done * steps


def _size(candidate: Candidate, prepared: Prepared) -> int:
    """Return what orders candidates by their time: epochs times weights of the method."""
    return candidate.config.train.epochs * prepared.weights[candidate.trial_id]


def _encoder(candidate: Candidate, data: Data) -> torch.nn.Module:
    with torch.device("meta"):
        return build(candidate.config.encoder, data.shape)
