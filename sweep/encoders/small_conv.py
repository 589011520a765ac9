"""A small convolutional net for tiny images, which one core trains at thousands a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from sweep.config.models import EncoderConfig
from sweep.core.errors import ConfigError

WIDTH = 32
"""The least, too: 8 * 32 = 256 features, of which ranks up to 100 are fitted."""


def small_conv(config: EncoderConfig) -> Callable[[tuple[int, int, int]], SmallConv]:
    """Return a maker of the net; 8 * width features.

    Raises:
        ConfigError: a width below 32, or options.
    """
    if config.options:
        given = ", ".join(sorted(config.options))
        raise ConfigError(f"small_conv takes no options, but encoder.options has {given}.")
    width = config.width or WIDTH
    if width < WIDTH:
        raise ConfigError(
            f"encoder.width is {width}, but small_conv needs {WIDTH} or more: it ends in 8 * width "
            "features, and a spectrum needs 256."
        )
    return partial(SmallConv, width=width)


class SmallConv(nn.Module):
    """[B, C, H, W] -> [B, 8 * width]: four 3x3 conv-BN-ReLU, global average pool.

    Channels double while the sides halve; from 32 pixels the first convolution has stride 2
    as well. At width 32 an image of 16 or of 32 pixels takes 3.8 million multiply-adds.

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
