"""Tries whether a plug-in method gives the loss of a batch when two processes share the batch.

A few images go through the method as one batch, and as two halves in two threads that take the
place of processes. The loss and its gradients have to be equal. The modules are in evaluation mode,
in which batch norm does not mix images: in a real training it runs over all processes.
Shapes: B images of one half.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sweep.config.study import TrialConfig
from sweep.core.errors import ConfigError, in_a_line
from sweep.datasets.cache import Data
from sweep.datasets.images import Split
from sweep.methods import Batch, Method
from sweep.methods.base import identity
from sweep.pretraining.images import labels_of
from sweep.pretraining.seeds import generator
from sweep.pretraining.train import Views

MOST_IMAGES = 16
"""Images of each half, at most."""

TOLERANCE = 1e-3
"""Relative difference that counts as rounding in float32: an own choice."""

POLL_SECONDS = 0.05


def check_halves(config: TrialConfig, method: Method, data: Data, split: Split) -> None:
    """Check that two halves of a batch give the loss and the gradients of the batch.

    Args:
        config: the candidate.
        method: as it was built, on the CPU; not changed.
        data: the images' mean and deviation.
        split: the images that the method is trained on.

    Raises:
        ConfigError: they do not, or the method failed with a half.
    """
    count = min(MOST_IMAGES, config.train.batch // 2, len(split) // 2)
    whole = _batches(config, method, data, split, count, [identity])[0]
    expected = copy.deepcopy(method).eval()
    value = expected(whole).value
    torch.autograd.backward(value)
    halves = [copy.deepcopy(method).eval() for _ in range(2)]
    meeting = threading.Barrier(2)
    batches = _batches(config, method, data, split, count, _gathers(meeting))
    values = _in_threads(config, halves, batches, meeting)
    mean = torch.stack(values).mean()
    torch.autograd.backward(mean)
    gradients = [_gradient(half) for half in halves]
    error = _difference(sum(gradients[1:], gradients[0]), _gradient(expected))
    if _difference(mean.detach(), value.detach()) > TOLERANCE:
        reason = f"the loss of {2 * count} images is {value.item():.6g}, and {mean.item():.6g} when"
    elif error > TOLERANCE:
        reason = f"the gradient of {2 * count} images differs by {error:.1%} when"
    else:
        return
    raise ConfigError(
        f"The method {config.method.name!r} declares `parallel = True`, but "
        f"{reason} two "
        "processes share them. Gather what the loss compares over the batch, and draw random "
        'numbers for the whole batch (docs/pages/guide/methods.md, "Several processes"); or set '
        "resources.processes=1."
    )


def _batches(
    config: TrialConfig,
    method: Method,
    data: Data,
    split: Split,
    count: int,
    gathers: Sequence[Callable[[Tensor], Tensor]],
) -> list[Batch]:
    """Return the first 2 * `count` images as one batch for each of the `gathers`."""
    processes = len(gathers)
    rows = torch.arange(2 * count)
    images = torch.from_numpy(split.images[: 2 * count].copy())
    labels = labels_of(split)[: 2 * count] if getattr(method, "uses_labels", False) else None
    mean_C, std_C = (torch.as_tensor(v, dtype=torch.float32) for v in (data.mean, data.std))
    batches = []
    for rank, gather in enumerate(gathers):
        part = slice(rank * 2 * count // processes, (rank + 1) * 2 * count // processes)
        draws = generator("cpu", config.seed, "rehearsal", 0)
        views = Views(
            images=images[part],
            recipes=config.augment,
            draws=draws,
            mean=mean_C,
            std=std_C,
            layout=torch.contiguous_format,
            rank=rank,
            processes=processes,
        )
        batches.append(
            Batch(
                images=images[part],
                rows=rows[part],
                draws=draws,
                view=views,
                done=0.5,
                labels=None if labels is None else labels[part],
                gather=gather,
                rank=rank,
                processes=processes,
            )
        )
    return batches


def _gathers(meeting: threading.Barrier) -> list[Callable[[Tensor], Tensor]]:
    """Return the gather of each of two threads, which wait for each other."""
    parts: list[Tensor | None] = [None, None]

    def gather_of(rank: int) -> Callable[[Tensor], Tensor]:
        def gather(part: Tensor) -> Tensor:
            parts[rank] = part
            meeting.wait()
            rows = torch.cat([part for part in parts if part is not None])
            meeting.wait()  # before the next gather replaces the parts
            return rows

        return gather

    return [gather_of(rank) for rank in range(2)]


def _in_threads(
    config: TrialConfig,
    methods: Sequence[Method],
    batches: Sequence[Batch],
    meeting: threading.Barrier,
) -> list[Tensor]:
    """Return the loss of each batch."""
    values: dict[int, Tensor] = {}
    errors: list[Exception] = []

    def run(rank: int) -> None:
        try:
            values[rank] = methods[rank](batches[rank]).value
        except Exception as error:  # whatever a plug-in raises
            errors.append(error)
            meeting.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(methods))]
    for thread in threads:
        thread.start()
    while alive := [thread for thread in threads if thread.is_alive()]:
        alive[0].join(POLL_SECONDS)
        if len(alive) < len(threads) and meeting.n_waiting:
            meeting.abort()  # one thread has ended, and the other waits for it
    if errors:
        error = errors[0]
        reason = f"it failed with half of a batch: {in_a_line(error)}."
        if isinstance(error, threading.BrokenBarrierError):
            reason = "it does not call batch.gather equally often in each process."
        raise ConfigError(
            f"The method {config.method.name!r} declares `parallel = True`, but {reason} See "
            'docs/pages/guide/methods.md, "Several processes"; or set resources.processes=1.'
        ) from error
    return [values[rank] for rank in range(len(methods))]


def _gradient(method: Method) -> Tensor:
    """Return the gradients of all weights in one vector."""
    weights = (weight for weight in method.parameters() if weight.requires_grad)
    return torch.cat(
        [torch.zeros(w.numel()) if w.grad is None else w.grad.flatten().float() for w in weights]
    )


def _difference(one: Tensor, other: Tensor) -> float:
    """Return the length of the difference over the length of `other`."""
    length = torch.linalg.vector_norm(other).clamp(min=1e-6)
    return float(torch.linalg.vector_norm(one - other) / length)
