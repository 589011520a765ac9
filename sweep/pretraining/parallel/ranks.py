"""What the processes of one training exchange in a step: outputs, gradients and the loss.

The loss of a batch is the mean of the processes' values: L = (1 / R) sum_r L_r. A loss that
gathers all outputs has the same value in each process, so the mean is this value. A loss that is a
mean over images is the mean of the means over equal parts. Both give the loss, and the gradient, of
one process with the whole batch.
Shapes: R processes, B images of one process, d outputs of a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sweep.methods.base import Loss


def _nothing() -> None:
    """Check nothing: there is no other process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """The place of this process among the processes that train one model.

    Args:
        rank: the number of this process, from 0.
        processes: R. With more than 1, torch.distributed's default group connects them.
        check: raises an error if another process has ended.
    """

    rank: int = 0
    processes: int = 1
    check: Callable[[], None] = _nothing

    def part(self, whole: Tensor) -> Tensor:
        """Return this process's equal part of the rows of a tensor."""
        return whole.chunk(self.processes)[self.rank] if self.processes > 1 else whole

    def gather(self, part: Tensor) -> Tensor:
        """Return the rows of all processes, [B, ...] -> [R * B, ...], differentiable."""
        if self.processes == 1:
            return part
        rows: Tensor = _Gather.apply(part)
        return rows

    def combine(self, loss: Loss, weights: Iterable[nn.Parameter]) -> Loss:
        """Average gradients and loss over the processes; with one process, return the loss.

        Args:
            loss: of this process, after its backward pass.
            weights: their gradients are replaced by the means over the processes. The same
                weights must have a gradient in each process.

        Returns:
            The mean value and parts. Instead of the outputs, two rows [2, d] with the mean and the
            variance of all outputs.
        """
        if self.processes == 1:
            return loss
        _average([weight.grad for weight in weights if weight.grad is not None])
        return _mean_of(loss)


ONE = Ranks()
"""One process that trains alone."""


class _Gather(torch.autograd.Function):
    """Concatenates the rows of all processes; the gradient of a row is summed over processes."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part.contiguous()) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, part.contiguous())
        ctx.rows = len(part)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]


def _average(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, with one exchange for each type."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.flatten() for tensor in same])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        means = flat.split([tensor.numel() for tensor in same])
        for tensor, mean in zip(same, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))


def _mean_of(loss: Loss) -> Loss:
    """Return the mean over the processes of a loss, its parts, and its outputs' moments."""
    scalars = [loss.value.detach(), *(part.detach() for part in loss.parts.values())]
    device = loss.value.device
    pieces = [torch.stack([scalar.to(device, torch.float64).reshape(()) for scalar in scalars])]
    if loss.outputs is not None:
        z_Bd = loss.outputs.detach().to(device, torch.float64).flatten(1)
        pieces += [z_Bd.mean(0), z_Bd.square().mean(0)]
    means = torch.cat(pieces)
    dist.all_reduce(means)
    means /= dist.get_world_size()
    value, *parts = means[: len(scalars)].unbind()
    outputs = None if loss.outputs is None else _rows_with(*means[len(scalars) :].chunk(2))
    return Loss(
        value=value.to(loss.value.dtype),
        outputs=outputs,
        parts=_like(loss.parts, parts),
    )


def _rows_with(mean_d: Tensor, square_d: Tensor) -> Tensor:
    """Return two rows [2, d] with this mean and this mean square of each column."""
    deviation_d = (square_d - mean_d.square()).clamp(min=0).sqrt()
    return torch.stack([mean_d - deviation_d, mean_d + deviation_d])


def _like(parts: Mapping[str, Tensor], means: list[Tensor]) -> dict[str, Tensor]:
    return {
        name: mean.to(part.dtype) if part.is_floating_point() else mean
        for (name, part), mean in zip(parts.items(), means, strict=True)
    }
