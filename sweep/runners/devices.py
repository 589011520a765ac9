"""Divides the CPU cores and GPUs of the machine, or of the cluster, among the trials."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Devices:
    """The devices of each trial.

    Args:
        gpu: GPUs of one trial, 0 to 1.
        cpu: cores of one trial.
        parallel: how many trials run at once.
    """

    gpu: float
    cpu: int
    parallel: int

    @property
    def share(self) -> float:
        """Devices that a trial's cost counts: its GPUs, or its cores if it has no GPU."""
        return self.gpu or float(self.cpu)


def devices(
    config: StudyConfig, *, gpus: float | None = None, cpus: float | None = None
) -> Devices:
    """Divide the machine, or the cluster, among the trials.

    Args:
        config: its `resources` are what the user asked for; the rest is chosen so that it fits.
        gpus, cpus: of the whole cluster; by default those of this machine.

    Raises:
        ConfigError: `resources` asks for more than there is.
    """
    asked = config.resources
    gpus = float(torch.cuda.device_count()) if gpus is None else gpus
    cpus = float(os.cpu_count() or 1) if cpus is None else cpus
    gpu = (1.0 if gpus else 0.0) if asked.gpu is None else asked.gpu
    if gpu and not gpus:
        raise ConfigError(
            f"resources.gpu is {gpu:g}, and no GPU was found. Set resources.gpu=0 to run on the "
            "CPU, or resources.address to join a cluster that has GPUs."
        )
    if asked.cpu > cpus:
        raise ConfigError(
            f"resources.cpu is {asked.cpu}, and there are {cpus:g} cores. Set it lower."
        )
    largest = int(gpus / gpu) if gpu else int(cpus // asked.cpu)
    largest = max(1, min(largest, int(cpus // asked.cpu)))
    if asked.runner == "local":
        return Devices(gpu=gpu, cpu=asked.cpu, parallel=1)
    if asked.parallel is not None and asked.parallel > largest:
        raise ConfigError(
            f"resources.parallel is {asked.parallel}, and {largest} trials fit at once "
            f"({cpus:g} cores, {gpus:g} GPUs; {asked.cpu} cores and {gpu:g} GPUs each). "
            "Give each trial less (resources.gpu=0.25), or set resources.parallel lower."
        )
    return Devices(gpu=gpu, cpu=asked.cpu, parallel=asked.parallel or largest)
