"""How the machine, or the cluster, is divided among the trials."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from sweep.config.models import StudyConfig
from sweep.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Devices:
    """What each trial gets.

    Args:
        gpu: GPUs for a trial, 0 to 1.
        cpu: cores for a trial.
        parallel: trials at work at once.
    """

    gpu: float
    cpu: int
    parallel: int

    @property
    def share(self) -> float:
        """Devices that a trial holds, for its cost: GPUs, or cores where it has no GPU."""
        return self.gpu or float(self.cpu)


def devices(
    config: StudyConfig, *, gpus: float | None = None, cpus: float | None = None
) -> Devices:
    """Divide the machine, or the cluster, among the trials.

    Args:
        config: its `resources` are wishes; what is left open is what fits.
        gpus, cpus: of the cluster; by default this machine's.

    Raises:
        ConfigError: more is asked for than there is.
    """
    wish = config.resources
    gpus = float(torch.cuda.device_count()) if gpus is None else gpus
    cpus = float(os.cpu_count() or 1) if cpus is None else cpus
    gpu = (1.0 if gpus else 0.0) if wish.gpu is None else wish.gpu
    if gpu and not gpus:
        raise ConfigError(
            f"resources.gpu is {gpu:g}, and no GPU was found. Set resources.gpu=0 to run on the "
            "CPU, or resources.address to join a cluster that has GPUs."
        )
    if wish.cpu > cpus:
        raise ConfigError(f"resources.cpu is {wish.cpu}, and there are {cpus:g} cores.")
    room = int(gpus / gpu) if gpu else int(cpus // wish.cpu)
    room = max(1, min(room, int(cpus // wish.cpu)))
    if wish.runner == "local":
        return Devices(gpu=gpu, cpu=wish.cpu, parallel=1)
    if wish.parallel is not None and wish.parallel > room:
        raise ConfigError(
            f"resources.parallel is {wish.parallel}, and {room} trials fit at once "
            f"({cpus:g} cores, {gpus:g} GPUs; {wish.cpu} cores and {gpu:g} GPUs each). "
            "Ask for less per trial (resources.gpu=0.25) or for fewer at once."
        )
    return Devices(gpu=gpu, cpu=wish.cpu, parallel=wish.parallel or room)
