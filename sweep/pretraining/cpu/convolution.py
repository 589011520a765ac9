"""A convolution computed by matrix products (output and both gradients), for small maps.

On small maps oneDNN reaches a tenth to a half of the processor's speed, least in bfloat16.
Plain version: `torch.conv2d` and its gradient; the results are equal up to rounding.
Shapes: B images, C channels in, O out, P pixels of all outputs, K = C times the kernel's area.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode

SMALL_PIXELS = 16
"""Up to so many pixels of an output map, the matrix products are faster.

Milliseconds of oneDNN and of the product on two AMX cores, 256 images, bfloat16:
512 channels at 4x4: output 87 and 56, gradient of the input 86 and 63, of the weight 238 and 62;
512 channels at 2x2: 51 and 21, 59 and 23, 174 and 15;
256 channels at 8x8: 39 and 67, 40 and 66, 102 and 83. One core gives similar ratios.
In float32 only the gradient of the weight is faster: 236 and 218 at 4x4.
"""

SMALL_STRIDED_PIXELS = 64
"""The same limit for the gradient of the weight of a convolution with strides.

128 to 256 channels, 16x16 to 8x8: 70 and 50 ms on two cores, 123 and 84 ms on one.
"""


class SmallMaps(TorchFunctionMode):
    """A context in which `torch.conv2d` on the CPU uses the products where they are faster."""

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
    height, width = output_side(x_BCHW, weight, stride, padding)
    return 0 < height * width <= (SMALL_PIXELS if min(stride) == 1 else SMALL_STRIDED_PIXELS)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_BCHW: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight)
        ctx.stride, ctx.padding = stride, padding
        height, width = output_side(x_BCHW, weight, stride, padding)
        if x_BCHW.dtype == torch.bfloat16 and height * width <= SMALL_PIXELS:
            return product(x_BCHW, weight, stride, padding)
        return torch.conv2d(x_BCHW, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (grad_BOHW,) = grads
        x_BCHW, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = input_gradient(x_BCHW, weight, grad_BOHW, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            grad_weight = weight_gradient(
                x_BCHW, grad_BOHW, weight.shape[2:], ctx.stride, ctx.padding
            )
        return grad_x, grad_weight, None, None


def output_side(
    x_BCHW: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> tuple[int, int]:
    """Return height and width of a convolution's output."""
    sides = zip(x_BCHW.shape[2:], weight.shape[2:], stride, padding, strict=True)
    height, width = ((side + 2 * p - k) // s + 1 for side, k, s, p in sides)
    return height, width


def product(
    x_BCHW: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Return the convolution [B, O, H', W'], channels last, as X W^T. Equals `torch.conv2d`."""
    height, width = output_side(x_BCHW, weight, stride, padding)
    x_PK = patches(x_BCHW, weight.shape[2:], stride, padding)
    y_PO = x_PK @ weight.permute(0, 2, 3, 1).reshape(len(weight), -1).T
    return y_PO.view(len(x_BCHW), height, width, -1).permute(0, 3, 1, 2)


def input_gradient(
    x_BCHW: Tensor,
    weight: Tensor,
    grad_BOHW: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """Return the gradient of a convolution's input; equals `torch.nn.grad.conv2d_input`.

    Without strides it is a convolution of `grad_BOHW` with the kernel rotated by 180 degrees.
    """
    high, wide = weight.shape[2:]
    rest = (high - 1 - padding[0], wide - 1 - padding[1])
    small = x_BCHW.shape[2] * x_BCHW.shape[3] <= SMALL_PIXELS
    if grad_BOHW.dtype == torch.bfloat16 and small and max(stride) == 1 and min(rest) >= 0:
        return product(grad_BOHW, weight.flip(2, 3).transpose(0, 1), stride, rest)
    return conv2d_input(x_BCHW.shape, weight, grad_BOHW, stride, padding)  # type: ignore[no-any-return]  # torch has no types there


def weight_gradient(
    x_BCHW: Tensor,
    grad_BOHW: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """Return the gradient of a convolution's weight, [O, C, *kernel].

    Equivalent to `torch.nn.grad.conv2d_weight`: G^T X with G [P, O] the output's gradient.

    Args:
        x_BCHW: the input.
        grad_BOHW: the gradient of the output.
        kernel, stride, padding: of the convolution, height first.
    """
    maps = grad_BOHW.shape[1]
    x_PK = patches(x_BCHW, kernel, stride, padding)
    grad_PO = grad_BOHW.permute(0, 2, 3, 1).reshape(-1, maps)
    return (grad_PO.T.contiguous() @ x_PK).view(maps, *kernel, -1).permute(0, 3, 1, 2)


def patches(
    x_BCHW: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Return the input under the kernel at each output pixel, [P, K], channels fastest."""
    (high, wide), (down, right) = kernel, padding
    rows_BHWC = pad(x_BCHW.permute(0, 2, 3, 1), (0, 0, right, right, down, down))
    windows = rows_BHWC.unfold(1, high, stride[0]).unfold(2, wide, stride[1])
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, high * wide * x_BCHW.shape[1])
