"""A small convolutional network for tiny images; one core trains on thousands of them a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn


def small_conv(
    *, width: Annotated[int, Field(ge=32, le=1024)] = 32
) -> Callable[[tuple[int, int, int]], SmallConv]:
    """Return the builder of the network with 8 * width features.

    Args:
        width: channels of the first layer. At least 32, which give 256 features, because alpha is
            fitted to the first 100 eigenvalues.
    """
    return partial(SmallConv, width=width)


class SmallConv(nn.Module):
    """[B, C, H, W] -> [B, 8 * width]: four 3x3 conv-BN-ReLU, global average pool.

    Channels double while the sides halve. For images of 32 pixels or more, the first convolution
    has stride 2 as well. At width 32, an image of 16 or of 32 pixels takes 3.8 million
    multiply-adds.

    Args:
        shape: (C, H, W) of the images, at least 4 pixels a side.
        width: channels of the first layer.
    """

    def __init__(self, shape: tuple[int, int, int], *, width: int) -> None:
        super().__init__()
        channels, height, _ = shape
        self.dim: int = 8 * width
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        strides = [2 if height >= 32 else 1, 2, 2, 2]
        layers: list[nn.Module] = []
        for start, end, stride in zip(widths, widths[1:], strides, strict=False):
            conv = nn.Conv2d(start, end, 3, stride=stride, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            layers += [conv, nn.BatchNorm2d(end), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        h_BD: Tensor = self.layers(x_BCHW)
        return h_BD
