"""What a candidate must be so that several processes can train it together."""

from __future__ import annotations

import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sweep.config.study import TrialConfig
from sweep.core.errors import ConfigError
from sweep.methods.base import is_parallel
from sweep.pretraining.parallel.batch_norm import PLAIN


def check_parallel(config: TrialConfig, method: nn.Module, processes: int) -> None:
    """Check that several processes give the training of one process.

    Args:
        config: the candidate.
        method: as it was built.
        processes: how many train together; with 1 there is nothing to check.

    Raises:
        ConfigError: the batch has no equal parts, the method does not declare `parallel`, or a
            batch norm is of an unknown class.
    """
    if processes == 1:
        return
    check_batch(config, processes)
    name = config.method.name
    if not is_parallel(method):
        raise ConfigError(
            f"resources asks for {processes} processes for a trial, and the method {name!r} does "
            "not declare that it may be split. Gather what its loss compares over the batch "
            "(docs/pages/guide/methods.md), and set `parallel = True` in its class; or set "
            "resources.processes=1."
        )
    if config.train.sync_batch_norm:
        _check_batch_norms(method)


def check_batch(config: TrialConfig, processes: int) -> None:
    """Raise `ConfigError` unless the processes can share a candidate's batch equally."""
    batch = config.train.batch
    if batch % processes:
        below = batch // processes * processes
        examples = [str(size) for size in (below, below + processes) if size]
        raise ConfigError(
            f"train.batch is {batch}, which does not divide by the {processes} processes of a "
            f"trial. Set train.batch to a multiple of {processes}, for example "
            f"{' or '.join(examples)}."
        )
    if not config.train.sync_batch_norm and batch < 2 * processes:
        raise ConfigError(
            f"train.batch is {batch}, so each of {processes} processes has one image, and a batch "
            f"norm of its own needs two. Set train.batch to {2 * processes} or more."
        )


def _check_batch_norms(method: nn.Module) -> None:
    for layer in method.modules():
        if isinstance(layer, _BatchNorm) and type(layer) not in PLAIN:
            raise ConfigError(
                f"The model has a batch norm of the class {type(layer).__name__}, which sweep "
                "cannot compute over several processes. Use torch's BatchNorm1d, 2d or 3d, or set "
                "train.sync_batch_norm=false or resources.processes=1."
            )


def check_backend(*, gpu: bool) -> None:
    """Raise `ConfigError` unless this torch can connect several processes.

    Args:
        gpu: True for processes on GPUs (NCCL), False for processes on the CPU (Gloo).
    """
    name = "NCCL" if gpu else "Gloo"
    if not dist.is_available() or not (
        dist.is_nccl_available() if gpu else dist.is_gloo_available()
    ):
        raise ConfigError(
            f"Several processes for a trial need torch.distributed with {name}, which this torch "
            "lacks. Install a torch that has it, or set resources.processes=1."
        )
