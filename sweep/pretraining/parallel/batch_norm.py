"""Batch norm with the statistics of all processes.

Without it, each process would normalise its part of a batch by itself: the model, and what lambda
means, would depend on the number of processes.
Shapes: B images of one process, C channels, N values of a channel in all processes together.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import batch_norm

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def over_all_ranks(module: nn.Module) -> None:
    """Replace each batch norm inside a module by one over all processes, with the same weights.

    The names in the module's `state_dict` stay as they are.
    """
    replaced: dict[int, RanksBatchNorm] = {}  # a layer that is used twice stays one layer
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in PLAIN:
                if id(child) not in replaced:
                    replaced[id(child)] = RanksBatchNorm.of(child)  # type: ignore[arg-type]  # a batch norm
                setattr(parent, name, replaced[id(child)])


class RanksBatchNorm(nn.SyncBatchNorm):
    """Batch norm over all processes: torch's own on a GPU, which torch has for GPUs only."""

    @classmethod
    def of(cls, layer: nn.BatchNorm1d) -> RanksBatchNorm:
        """Return the layer over all processes that shares the weights of a plain layer."""
        _keep_from_compiler()
        made = cls(
            layer.num_features,
            layer.eps,
            layer.momentum,
            affine=False,
            track_running_stats=False,
        )
        made.affine, made.track_running_stats = layer.affine, layer.track_running_stats
        made.weight, made.bias = layer.weight, layer.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            made.register_buffer(name, getattr(layer, name))
        return made.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input, [B, C, ...]."""
        if not self.training or input.is_cuda:
            normalised: Tensor = super().forward(input)
            return normalised
        y, mean_C, variance_C, count = _BatchNorm.apply(input, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self._track(mean_C, variance_C * (count / (count - 1)))
        out: Tensor = y
        return out

    @torch.no_grad()
    def _track(self, mean_C: Tensor, unbiased_C: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the mean over all batches
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean_C.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased_C.to(self.running_var.dtype), share)


@functools.cache
def _keep_from_compiler() -> None:
    """Keep `torch.compile` out of the layer, whose calls between processes it cannot trace.

    Done when the first layer is made: it loads the compiler, 150 MB and some seconds.
    """
    RanksBatchNorm.forward = torch.compiler.disable(RanksBatchNorm.forward)  # type: ignore[method-assign]


class _BatchNorm(torch.autograd.Function):
    """(x, weight, bias, eps) -> the normalised x, mean [C], biased variance [C], N.

    Source: Ioffe and Szegedy, ICML 2015, algorithm 1 and its gradients; the variances of the
    processes are combined as in Chan, Golub and LeVeque 1979, equation 2.1.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_C: Tensor | None, bias_C: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        full = x if x.dtype == torch.float64 else x.float()
        axes = [0, *range(2, x.ndim)]
        variance_C, mean_C = torch.var_mean(full, axes, correction=0)
        count = full.new_full((1,), x.numel() / x.shape[1])
        own = torch.cat([count, mean_C, variance_C])
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        counts_R1, rest = torch.stack(parts).split([1, 2 * len(mean_C)], 1)
        means_RC, variances_RC = rest.chunk(2, 1)
        total = counts_R1.sum()
        mean_C = (counts_R1 * means_RC).sum(0) / total
        spread_RC = variances_RC + (means_RC - mean_C).square()
        variance_C = (counts_R1 * spread_RC).sum(0) / total
        ctx.save_for_backward(x, weight_C, mean_C, (variance_C + eps).rsqrt(), total)
        ctx.mark_non_differentiable(mean_C, variance_C, total)
        y = batch_norm(x, mean_C, variance_C, weight_C, bias_C, training=False, eps=eps)
        return y, mean_C, variance_C, total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_C, mean_C, scale_C, total = ctx.saved_tensors
        shape = [1, -1, *[1] * (x.ndim - 2)]
        axes = [0, *range(2, x.ndim)]
        grad_y = grads[0].to(mean_C.dtype)
        unit = (x.to(mean_C.dtype) - mean_C.view(shape)) * scale_C.view(shape)
        own = torch.stack([grad_y.sum(axes), (grad_y * unit).sum(axes)])
        of_all = own.clone()
        dist.all_reduce(of_all)
        level_C, slope_C = of_all / total
        weighted_C = scale_C if weight_C is None else scale_C * weight_C
        grad_x = grad_y - level_C.view(shape) - unit * slope_C.view(shape)
        grad_x = (grad_x * weighted_C.view(shape)).to(x.dtype)
        if weight_C is None:
            return grad_x, None, None, None
        return grad_x, own[1].to(weight_C.dtype), own[0].to(weight_C.dtype), None
