"""Divides the CPU cores and GPUs of the machine, or of the cluster, among the trials."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sweep.config.models import ResourcesConfig
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Devices:
    """The devices of each trial.

    Args:
        gpu: GPUs of one trial: 0 to 1, or one for each of its processes.
        cpu: cores of one trial, of all its processes; or a part of one core.
        parallel: how many trials run at once.
        processes: how many processes train one trial's model together.
    """

    gpu: float
    cpu: float
    parallel: int
    processes: int = 1

    @property
    def threads(self) -> int:
        """Threads of one process: its cores, or one thread on a part of a core."""
        return max(1, int(self.cpu / self.processes))

    @property
    def share(self) -> float:
        """Devices that a trial's cost counts: its GPUs, or its cores if it has no GPU."""
        return self.gpu or self.cpu


def devices(
    config: StudyConfig,
    *,
    gpus: float | None = None,
    cpus: float | None = None,
    nodes: Sequence[tuple[float, float]] | None = None,
) -> Devices:
    """Divide the machine, or the cluster, among the trials.

    Args:
        config: its `resources` are what the user asked for; the rest is chosen so that it fits.
        gpus, cpus: of the whole cluster; by default those of this machine.
        nodes: (cores, GPUs) of each node. A trial with several processes has to fit into one node;
            by default there is one.

    Raises:
        ConfigError: `resources` asks for more than there is, without `wait`; or `wait` lacks
            `address` or `parallel`.
    """
    asked = config.resources
    gpus = float(torch.cuda.device_count()) if gpus is None else gpus
    cpus = float(os.cpu_count() or 1) if cpus is None else cpus
    processes = asked.processes_of_a_trial
    check_wait(asked)
    gpu = (float(processes) if gpus else 0.0) if asked.gpu is None else asked.gpu
    cpu = asked.cpu * processes
    if asked.wait and asked.runner == "ray" and asked.parallel is not None:
        return Devices(gpu=gpu, cpu=cpu, parallel=asked.parallel, processes=processes)
    if gpu and not gpus:
        raise ConfigError(
            f"resources.gpu is {gpu:g}, and no GPU was found. Set resources.gpu=0 to run on the "
            "CPU, or resources.address to join a cluster that has GPUs."
        )
    if asked.cpu > cpus:
        raise ConfigError(
            f"resources.cpu is {asked.cpu:g}, and there are {cpus:g} cores. Set it lower."
        )
    if processes > 1:
        nodes = [(cpus, gpus)] if nodes is None else nodes
        largest = _on_nodes(nodes, cpu=cpu, gpu=gpu, processes=processes)
    else:
        largest = max(1, min(_times(gpu, gpus), _times(cpu, cpus)) if gpu else _times(cpu, cpus))
    if asked.runner == "local":
        return Devices(gpu=gpu, cpu=cpu, parallel=1, processes=processes)
    if asked.parallel is not None and asked.parallel > largest:
        raise ConfigError(
            f"resources.parallel is {asked.parallel}, and {largest} trials fit at once "
            f"({cpus:g} cores, {gpus:g} GPUs; {cpu:g} cores and {gpu:g} GPUs each). "
            f"Give each trial less (resources.{'gpu=0.25' if processes == 1 else 'processes=1'}), "
            "or set resources.parallel lower."
        )
    return Devices(gpu=gpu, cpu=cpu, parallel=asked.parallel or largest, processes=processes)


def check_wait(asked: ResourcesConfig) -> None:
    """Raise `ConfigError` if `wait` lacks `address` or `parallel`; the local runner ignores it."""
    if not asked.wait or asked.runner == "local":
        return
    if asked.address is None:
        raise ConfigError(
            "resources.wait is true, and no node can join the Ray of this machine. Set "
            'resources.address to a running cluster, such as "auto", or take resources.wait out.'
        )
    if asked.parallel is None:
        raise ConfigError(
            "resources.wait is true, and resources.parallel is missing. The nodes that will join "
            "are not known, so set how many trials run at once, for example resources.parallel=8."
        )


def _times(part: float, whole: float) -> int:
    """Return how often a part goes into a whole; 0.01 goes 200 times into 2."""
    return int(whole / part + 1e-9)


def _on_nodes(
    nodes: Sequence[tuple[float, float]], *, cpu: float, gpu: float, processes: int
) -> int:
    """Return how many trials with several processes fit at once, each into one node.

    Raises:
        ConfigError: such a trial fits into no node.
    """
    fitting = sum(
        min(_times(cpu, cores), _times(gpu, gpus) if gpu else _times(cpu, cores))
        for cores, gpus in nodes
    )
    if fitting:
        return fitting
    has = "; ".join(f"{cores:g} cores and {gpus:g} GPUs" for cores, gpus in sorted(set(nodes)))
    raise ConfigError(
        f"Each trial has {processes} processes, which need {cpu:g} cores and {gpu:g} GPUs on one "
        f"node, and the nodes have: {has}. Set resources.processes, resources.gpu or "
        "resources.cpu lower; resources.gpu=0 runs the processes on the CPU."
    )
