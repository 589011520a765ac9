"""Bring a picture to the size of the network: crop, squeeze or pad. Sizes are in pixels."""

from __future__ import annotations

from typing import Literal

from PIL import Image

How = Literal["crop", "squeeze", "pad"]


def fit(picture: Image.Image, size: int, how: How, fill: float | tuple[int, ...]) -> Image.Image:
    """Return a square picture, resized by antialiased bicubic interpolation.

    Args:
        picture: of any mode that Pillow resizes.
        size: side of the square.
        how: `crop`: the short side becomes `size`, and the centre is cut out; equivalent to
            torchvision's `Resize(size, BICUBIC)` and `CenterCrop(size)`. `squeeze`: each side
            becomes `size`. `pad`: the long side becomes `size`, and the rest is filled.
        fill: value of the pixels that `pad` adds.
    """
    width, height = picture.size
    if how == "squeeze" or width == height:
        return _resized(picture, size, size)
    if how == "crop":
        short = min(width, height)
        wide, high = size * width // short, size * height // short
        left, top = round((wide - size) / 2), round((high - size) / 2)
        return _resized(picture, wide, high).crop((left, top, left + size, top + size))
    long = max(width, height)
    wide, high = max(1, size * width // long), max(1, size * height // long)
    padded = Image.new(picture.mode, (size, size), fill)
    padded.paste(_resized(picture, wide, high), ((size - wide) // 2, (size - high) // 2))
    return padded


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling.BICUBIC)
