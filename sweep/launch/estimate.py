"""Estimates the disk, time and money of a study before it runs, from a few real steps.

The smallest and the largest candidate are each trained for a few seconds on this machine. The time
of a candidate is proportional to its steps, and the total is divided by the number of workers.
This is a heuristic: trials that run at once slow each other down, and the devices of a cluster may
differ from this machine's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sweep.config.space import Candidate
from sweep.config.study import TrialConfig
from sweep.datasets.cache import Data
from sweep.encoders import build
from sweep.launch.preflight import Prepared
from sweep.launch.timed import time_steps
from sweep.runners.devices import Devices

TRAINED_SECONDS = 3.0
"""How long each of the two candidates is trained, at least, after its first step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The estimated cost of a study.

    Args:
        trial_seconds: of pretraining, for the smallest and the largest candidate.
        wall_seconds: of the whole study, if all candidates of the budget are pretrained.
        device_seconds: of the whole study, if all candidates of the budget are pretrained.
        money: device-hours times their price.
        disk_bytes: of the data's cache and of the most encoders that are kept.
    """

    trial_seconds: tuple[float, float]
    wall_seconds: float
    device_seconds: float
    money: float
    disk_bytes: int


def estimate(prepared: Prepared, devices: Devices) -> Estimate | None:
    """Return the estimated cost of a study, or None for the user's own training code."""
    data = prepared.data
    if data is None:
        return None
    torch.set_num_threads(devices.threads)
    ordered = sorted(prepared.candidates, key=lambda c: prepared.sizes[c.trial_id].cost)
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
    timed = time_steps(config, data, device, seconds=TRAINED_SECONDS, processes=devices.processes)
    return timed.seconds * timed.steps


def _encoder(candidate: Candidate, data: Data) -> torch.nn.Module:
    with torch.device("meta"):
        return build(candidate.config.encoder, data.shape)
