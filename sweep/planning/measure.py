"""Times optimiser steps of encoders and one probe on this machine, in seconds.

Steps are timed with random pixels of the right size, so that the size of the images can be chosen
before the images are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sweep.config.space import candidates
from sweep.config.study import StudyConfig, TrialConfig
from sweep.datasets.cache import Data
from sweep.datasets.images import Split, Splits
from sweep.launch.timed import time_look, time_steps
from sweep.planning.facts import Machine, Timed
from sweep.planning.ladder import Rung
from sweep.planning.plan import is_worth_a_larger_one
from sweep.pretraining.members import binder

STEP_SECONDS = 1.5
"""How long the steps of each encoder are timed, at least, after the first step."""
LOOK_SECONDS = 1.0
"""How long a probe is timed, about."""
AT_ONCE = 1.15
"""Factor of a step's time while other trials run beside it: they share memory and caches. An own
choice, for two trials on two cores."""


def time_rungs(
    rungs: Sequence[Rung],
    *,
    method: dict[str, Any],
    batch: int,
    channels: int,
    native: tuple[int, int],
    machine: Machine,
    seconds: float,
) -> list[Timed]:
    """Return the seconds of a step of each rung, up to the first rung that is too slow.

    Args:
        rungs: the cheapest first.
        method: keys of the method that is trained.
        batch: images of a step.
        channels: of an image.
        native: (width, height) of images that keep their size, in pixels.
        machine: the devices.
        seconds: that are left for the study.
    """
    timed = list[Timed]()
    for rung in rungs:
        width, height = (rung.side, rung.side) if rung.side is not None else native
        data = _random_images(2 * batch, (channels, height, width))
        trial = _trial(rung, method, batch)
        torch.set_num_threads(1)
        device = "cuda" if machine.gpus else "cpu"
        step = time_steps(trial, data, device, seconds=STEP_SECONDS).seconds
        timed.append(Timed(rung=rung, step_seconds=step * (AT_ONCE if machine.workers > 1 else 1)))
        if not is_worth_a_larger_one(timed[-1], seconds):
            break
    return timed


def time_probe(rung: Rung, data: Data, *, batch: int, machine: Machine) -> float:
    """Return the seconds of one probe with all labelled images of a data set."""
    trial = _trial(rung, {"name": "barlow_twins", "d": 64}, batch)
    torch.set_num_threads(1)
    device = "cuda" if machine.gpus else "cpu"
    few = _random_images(2 * batch, data.shape)
    encoder = time_steps(trial, few, device, seconds=0.0).encoder
    return time_look(trial, data, encoder, device, seconds=LOOK_SECONDS)


def _trial(rung: Rung, method: dict[str, Any], batch: int) -> TrialConfig:
    tree = {
        "encoder": {"name": rung.encoder, **rung.keys},
        "method": method,
        "train": {"batch": batch, "epochs": 100_000},
        "space": {"points": [{"seed": 0}]},
    }
    return candidates(StudyConfig.parse(tree, source="the plan"), "", binder())[0].config


def _random_images(count: int, shape: tuple[int, int, int]) -> Data:
    pixels = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    split = Split(images=pixels)
    mean = np.full(shape[0], 0.5, dtype=np.float32)
    std = np.full(shape[0], 0.25, dtype=np.float32)
    splits = Splits(pretrain=split, train=split, validation=split, test=split)
    return Data(splits=splits, digest="", mean=mean, std=std, shape=shape)
