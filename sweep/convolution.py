"""A convolution whose weight gradient is one matrix product, where the maps are small.

oneDNN's own runs at under a tenth of the processor's speed there, in bfloat16 above all.
Plain version: `torch.conv2d` and its gradient, which it equals up to rounding.
Shapes: B images, C channels in, O out, KK the kernel's area, P pixels of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode

SMALL = 16
"""Pixels of an output map up to which the product wins.

Milliseconds on one AMX core, 256 images, oneDNN's and the product's. bfloat16: 512 channels at
4x4 221 and 71, 256 at 2x2 18 and 2.2; at 8x8, 256 channels, 69 and 96. float32: 236 and 218,
12 and 9.8; 160 and 278.
"""


class SmallMaps(TorchFunctionMode):
    """Within it, `torch.conv2d` on the CPU takes the product for maps of up to 16 pixels."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.conv2d and not kwargs and len(args) == 7 and _applies(*args):
            x_BCHW, weight, _, stride, padding, *_ = args
            if torch.is_autocast_enabled("cpu"):
                dtype = torch.get_autocast_dtype("cpu")
                x_BCHW, weight = x_BCHW.to(dtype), weight.to(dtype)
            return _Convolution.apply(x_BCHW, weight, stride, padding)
        return func(*args, **(kwargs or {}))


def _applies(
    x_BCHW: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int] | str,
    dilation: tuple[int, int],
    groups: int,
) -> bool:
    if x_BCHW.device.type != "cpu" or bias is not None or groups != 1 or dilation != (1, 1):
        return False
    if isinstance(padding, str) or x_BCHW.ndim != 4:
        return False
    sides = zip(x_BCHW.shape[2:], weight.shape[2:], stride, padding, strict=True)
    height, width = ((side + 2 * p - k) // s + 1 for side, k, s, p in sides)
    return 0 < height * width <= SMALL


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_BCHW: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight)
        ctx.stride, ctx.padding = stride, padding
        return torch.conv2d(x_BCHW, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (grad_BOHW,) = grads
        x_BCHW, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = conv2d_input(  # torch has no types there
                x_BCHW.shape, weight, grad_BOHW, ctx.stride, ctx.padding
            )
        if ctx.needs_input_grad[1]:
            grad_weight = weight_gradient(
                x_BCHW, grad_BOHW, weight.shape[2:], ctx.stride, ctx.padding
            )
        return grad_x, grad_weight, None, None


def weight_gradient(
    x_BCHW: Tensor,
    grad_BOHW: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """Return the gradient of a convolution's weight, [O, C, *kernel].

    Equivalent to `torch.nn.grad.conv2d_weight`: G^T X with G [B*P, O], the output's gradient,
    and X [B*P, KK*C], the input's patches.

    Args:
        x_BCHW: the input.
        grad_BOHW: gradient of the output.
        kernel, stride, padding: of the convolution, height first.
    """
    (high, wide), (down, right) = kernel, padding
    rows_BHWC = pad(x_BCHW.permute(0, 2, 3, 1), (0, 0, right, right, down, down))
    patches = rows_BHWC.unfold(1, high, stride[0]).unfold(2, wide, stride[1])
    channels, maps = x_BCHW.shape[1], grad_BOHW.shape[1]
    x_PK = patches.permute(0, 1, 2, 4, 5, 3).reshape(-1, high * wide * channels)
    grad_PO = grad_BOHW.permute(0, 2, 3, 1).reshape(-1, maps)
    return (grad_PO.T @ x_PK).view(maps, high, wide, channels).permute(0, 3, 1, 2)
