from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from sweep.pretraining.cpu.convolution import SmallMaps, input_gradient, product, weight_gradient

LAYERS = pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"),
    [((3, 3), (1, 1), (1, 1), 4), ((3, 3), (2, 2), (1, 1), 7), ((1, 1), (2, 2), (0, 0), 8),
     ((3, 1), (1, 2), (0, 1), 6), ((3, 3), (1, 1), (0, 0), 5), ((1, 1), (1, 1), (1, 1), 3)],
)  # fmt: skip


@LAYERS
def test_the_product_is_the_convolution(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], side: int
) -> None:
    x = torch.randn(5, 3, side, side, dtype=torch.float64)
    weight = torch.randn(4, 3, *kernel, dtype=torch.float64)
    expected = torch.conv2d(x, weight, None, stride, padding)
    torch.testing.assert_close(product(x, weight, stride, padding), expected)


@LAYERS
def test_the_input_gradient_is_torchs_in_bfloat16(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], side: int
) -> None:
    whole = {"dtype": torch.float64, "generator": torch.Generator().manual_seed(0)}
    x = torch.zeros(5, 3, side, side)
    weight = torch.randint(-3, 4, (4, 3, *kernel), **whole)  # type: ignore[call-overload]
    out = torch.conv2d(x.double(), weight, None, stride, padding)
    grad = torch.randint(-3, 4, out.shape, **whole)  # type: ignore[call-overload]
    expected = conv2d_input(x.shape, weight, grad, stride, padding)  # sums that bfloat16 holds
    ours = input_gradient(x.bfloat16(), weight.bfloat16(), grad.bfloat16(), stride, padding)
    torch.testing.assert_close(ours.double(), expected, atol=0, rtol=2**-8)


@LAYERS
def test_the_weight_gradient_is_torchs(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], side: int
) -> None:
    x = torch.randn(5, 3, side, side, dtype=torch.float64)
    weight = torch.zeros(4, 3, *kernel, dtype=torch.float64)
    out = torch.conv2d(x, weight, None, stride, padding)
    grad = torch.randn_like(out)
    expected = conv2d_weight(
        x, list(weight.shape), grad, stride, padding
    )  # torch has no types there
    torch.testing.assert_close(weight_gradient(x, grad, kernel, stride, padding), expected)


def step(layer: nn.Conv2d, x: Tensor, *, mode: bool, half: bool) -> tuple[Tensor, Tensor, Tensor]:
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        if mode:
            with SmallMaps():
                out = layer(x)
        else:
            out = layer(x)
    torch.autograd.backward(out.float().square().sum())
    assert x.grad is not None
    assert layer.weight.grad is not None
    return out, x.grad, layer.weight.grad.clone()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("side", [4, 9])
def test_a_layer_computes_the_same_within_the_mode(side: int, half: bool) -> None:
    layer = nn.Conv2d(8, 16, 3, padding=1, bias=False)
    x = torch.randn(6, 8, side, side)
    plain, ours = (step(layer, x, mode=mode, half=half) for mode in (False, True))
    for one, other in zip(ours, plain, strict=True):
        scale = other.abs().max().item()
        torch.testing.assert_close(one, other, atol=scale * (2**-7 if half else 1e-5), rtol=0)


def test_the_product_is_taken_for_small_maps_only() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    with SmallMaps():
        small, large = layer(torch.rand(2, 3, 4, 4)), layer(torch.rand(2, 3, 5, 4))
        biased = nn.Conv2d(3, 4, 3)(torch.rand(2, 3, 4, 4))
        grouped = nn.Conv2d(4, 4, 3, groups=2, bias=False)(torch.rand(2, 4, 4, 4))
        named = nn.Conv2d(3, 4, 3, padding="same", bias=False)(torch.rand(2, 3, 4, 4))
    assert type(small.grad_fn).__name__ == "_ConvolutionBackward"
    for other in (large, biased, grouped, named):
        assert type(other.grad_fn).__name__ == "ConvolutionBackward0"
