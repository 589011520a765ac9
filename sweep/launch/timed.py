"""Times a few training steps and a probe on this machine, within seconds.

This is a heuristic: trials that run at once slow each other down, and the devices of a cluster may
differ from this machine's.
Shapes: N images.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sweep import probes
from sweep.config.study import TrialConfig
from sweep.datasets.cache import Data, Reader, load
from sweep.datasets.few_labels import with_labels
from sweep.datasets.images import Split
from sweep.pretraining import train
from sweep.pretraining.features import encode_all
from sweep.pretraining.images import labels_of, training_images
from sweep.probes import Labelled

FIRST_IMAGES = 256
"""Images of the first timed probe; each further one has four times as many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedSteps:
    """The result of a few training steps.

    Args:
        encoder: after these steps.
        seconds: of one step.
        steps: of the whole training.
    """

    encoder: nn.Module
    seconds: float
    steps: int


def time_steps(
    config: TrialConfig, data: Data, device: str, *, seconds: float, processes: int = 1
) -> TimedSteps:
    """Train a candidate for at least `seconds` after its first step.

    The first step is not counted, because it compiles and allocates; unless it is the only one.
    If several processes train the candidate together, one process is timed with its part of a
    batch. The time in which they exchange gradients is left out.
    """
    batch = config.train.batch
    part = config.train.model_copy(update={"batch": max(2, batch // processes)})
    config = config.model_copy(update={"train": part})
    run = train.begin(config, data.shape, device, images=len(data.splits.pretrain))
    images, labels = training_images(
        run.method, data.splits, name=config.method.name, device=device
    )
    began = time.perf_counter()
    first, step_seconds = 0, 0.0
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
        elapsed = time.perf_counter() - began
        step_seconds = elapsed / (progress.step - first)
        if first == 0:
            began, first = time.perf_counter(), progress.step
        elif elapsed >= seconds:
            break
    return TimedSteps(
        encoder=run.encoder,
        seconds=step_seconds,
        steps=config.train.epochs * (len(images) // batch),
    )


def time_look(
    config: TrialConfig,
    data: Data,
    encoder: nn.Module,
    device: str,
    *,
    seconds: float,
    read: Reader = load,
) -> float:
    """Return the seconds of one probe: features of all labelled images, and the fit.

    Growing parts of the images are probed until a probe takes `seconds` or all images are used.
    The time is taken to be proportional to the number of images.

    Raises:
        ConfigError: the probe refuses its keys, or raises an error if it is a plug-in.
    """
    labelled = data if config.probe.data is None else read(config.probe.data)
    parts = with_labels(labelled.splits, config.labels, seed=config.data.seed)
    total = sum(len(part) for part in parts)
    bound = probes.bind(config.probe, seed=config.seed)
    probe = bound.make()
    encoder.eval()
    count = min(FIRST_IMAGES, total)
    while True:
        began = time.perf_counter()
        some = [_some(part, round(count * len(part) / total)) for part in parts]
        features = [_features(part, encoder, data, device) for part in some]
        with bound.guarded():
            probe(features[0], features[1])
        elapsed = time.perf_counter() - began
        used = sum(len(part) for part in some)
        if elapsed >= seconds or count >= total:
            return elapsed * total / used
        count = min(4 * count, total)


def _some(part: Split, count: int) -> Split:
    """Return evenly spaced images of a labelled split, two at least where it has them."""
    rows = np.unique(np.linspace(0, len(part) - 1, max(2, count)).astype(np.int64))
    return Split(images=part.images[rows], labels=np.asarray(part.labels)[rows])


def _features(part: Split, encoder: nn.Module, data: Data, device: str) -> Labelled:
    features_ND = encode_all(encoder, part.images, mean=data.mean, std=data.std, device=device)
    if features_ND.is_cuda:
        torch.cuda.synchronize()
    return Labelled(features_ND=features_ND, labels_N=labels_of(part).to(features_ND.device))
