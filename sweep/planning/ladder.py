"""The encoders and image sizes that a plan chooses from, the cheapest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

UNCHANGED = 48
"""Largest side in pixels at which images keep their size; larger images are reduced."""
STEPS_OF_A_LARGER_ONE = 4000
"""Optimiser steps that a model needs before a larger encoder is chosen: an own choice. In complete
tables of 312 steps, a ResNet-18 was no better than `small_conv`, which is 20 times cheaper."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """An encoder and a size of images.

    Args:
        encoder: its name.
        keys: of the encoder.
        side: of the images in pixels; None leaves their size as it is.
    """

    encoder: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None

    @property
    def words(self) -> str:
        """The encoder, its keys and the side, for a person."""
        keys = ", ".join(f"{name} {value}" for name, value in self.keys.items())
        named = f"{self.encoder} ({keys})" if keys else self.encoder
        return named if self.side is None else f"{named} at {self.side} pixels"


SMALL = (
    Rung(encoder="small_conv", keys={"width": 32}),
    Rung(encoder="small_conv", keys={"width": 64}),
    Rung(encoder="resnet18", keys={"width": 32, "stem": "cifar"}),
    Rung(encoder="resnet18", keys={"width": 64, "stem": "cifar"}),
)
"""For images that keep their size."""
LARGE = (
    Rung(encoder="small_conv", keys={"width": 32}, side=32),
    Rung(encoder="small_conv", keys={"width": 64}, side=64),
    Rung(encoder="resnet18", keys={"width": 32, "stem": "imagenet"}, side=64),
    Rung(encoder="resnet18", keys={"width": 64, "stem": "imagenet"}, side=128),
    Rung(encoder="resnet18", keys={"width": 64, "stem": "imagenet"}, side=224),
)
"""For larger images, and images of several sizes."""


def rungs(
    smallest: Sequence[int], largest: Sequence[int], *, side: int | None = None
) -> tuple[Rung, ...]:
    """Return the encoders and sizes for images of these sizes, the cheapest first.

    Args:
        smallest, largest: [width, height] of the smallest and the largest image, in pixels.
        side: in pixels, if the user gave it; then only encoders are left to choose.
    """
    if side is not None:
        several = SMALL if side <= UNCHANGED else LARGE[:4]
        return tuple(replace(rung, side=side) for rung in several)
    if list(smallest) == list(largest) and max(largest) <= UNCHANGED:
        return SMALL
    fitting = [rung for rung in LARGE if rung.side is not None and rung.side <= min(largest)]
    return tuple(fitting) or LARGE[:1]
