"""Encoders: the network whose features are wanted, made for images of one shape.

A member is made from an `EncoderConfig`; what it returns builds the network for (C, H, W):
a module that maps [B, C, H, W] to [B, dim] and tells `dim`. Its forward pass draws nothing
at random, for the numbers of a trial follow from its seed alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sweep.config.models import EncoderConfig
from sweep.core.errors import ConfigError
from sweep.core.plugins import member
from sweep.encoders.resnet import resnet18, resnet50
from sweep.encoders.small_conv import small_conv

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

Encoder = Callable[[Shape], nn.Module]

ENCODERS: dict[str, Callable[[EncoderConfig], Encoder]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "small_conv": small_conv,
}


def build(config: EncoderConfig, shape: Shape) -> nn.Module:
    """Return the encoder with fresh weights, on torch's current default device.

    Raises:
        ConfigError: no such encoder, one that cannot be so narrow, or one without `dim`.
    """
    with member("The encoder", config.name, ENCODERS) as maker:
        encoder = maker(config)(shape)
    if not isinstance(getattr(encoder, "dim", None), int):
        raise ConfigError(
            f"The encoder {config.name!r} has no `dim`, the width of its features, an integer."
        )
    return encoder


def dim_of(config: EncoderConfig, shape: Shape) -> int:
    """Return the width of the encoder's features without making its weights."""
    with torch.device("meta"):
        return int(build(config, shape).dim)  # type: ignore[arg-type]  # build saw an int
