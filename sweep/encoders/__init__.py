"""Encoders: the networks that are trained, and whose features are measured and probed.

A member is a factory `name(*, key=default)`. It returns a function that takes the images' shape
(C, H, W) and builds the network: a module that maps [B, C, H, W] to [B, dim] and has `dim`. The
forward pass draws no random numbers, so that a trial's results follow from its seed alone.
Imports `core` and `config`. To add an encoder: a file here, and a line in `ENCODERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sweep.config.models import EncoderConfig
from sweep.core import plugins
from sweep.core.errors import ConfigError
from sweep.encoders.resnet import resnet18, resnet50
from sweep.encoders.small_conv import small_conv

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

Encoder = Callable[[Shape], nn.Module]

ENCODERS: Mapping[str, Callable[..., Encoder]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "small_conv": small_conv,
}


def bind(config: EncoderConfig, *, seed: int = 0) -> plugins.Bound[Encoder]:
    """Return the encoder that a config names, its keys checked.

    Args:
        config: the name and the keys.
        seed: of the trial, for an encoder that has a parameter `seed`.

    Raises:
        ConfigError: no such encoder, or a key or value that it does not take.
    """
    return plugins.bind(
        "The encoder",
        config.name,
        ENCODERS,
        config.parameters,
        where="encoder",
        filled={"seed": seed},
        common=EncoderConfig.model_fields,
    )


def filled_in(config: EncoderConfig) -> dict[str, Any]:
    """Return the given keys, and the defaults of the other keys, as JSON.

    Raises:
        ConfigError: no such encoder, or a key that it does not have.
    """
    return plugins.filled_in(
        "The encoder", config.name, ENCODERS, config.parameters, where="encoder"
    )


def build(config: EncoderConfig, shape: Shape, *, seed: int = 0) -> nn.Module:
    """Return the encoder with fresh weights, on torch's current default device.

    Args:
        config: the name and the keys.
        shape: (C, H, W) of the images.
        seed: of the trial, for an encoder that has a parameter `seed`.

    Raises:
        ConfigError: no such encoder, a wrong key, or a network without `dim`.
    """
    bound = bind(config, seed=seed)
    build_encoder = bound.make()
    with bound.guarded():
        encoder = build_encoder(shape)
    if not isinstance(getattr(encoder, "dim", None), int):
        raise ConfigError(
            f"The encoder {config.name!r} has no integer attribute `dim`. Set self.dim to the "
            "number of its features."
        )
    return encoder


def dim_of(config: EncoderConfig, shape: Shape) -> int:
    """Return the width of the encoder's features without making its weights."""
    with torch.device("meta"):
        return int(build(config, shape).dim)  # type: ignore[arg-type]  # build saw an int
