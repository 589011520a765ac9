"""The mapped file that images are decoded into, so that no split is ever held in memory.

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from sweep.core.errors import DataError
from sweep.datasets.pixels.picture import Treatment

COPIED_BYTES = 2**24
"""Bytes of a mapped file that are copied or changed at once."""


@dataclass(kw_only=True, slots=True)
class Canvas:
    """A mapped array [N, C, H, W] with a place for each image; threads may add images at once.

    It becomes RGB, or float32, when an image is: images of more than 8 bits stay float32 until the
    range of the whole set is known.

    Args:
        folder: of the files. An old file is removed when the array is made again.
        count: N.
        treatment: what is done to each image.
    """

    folder: Path
    count: int
    treatment: Treatment
    pixels: npt.NDArray[Any] | None = None
    wanted: bool = True
    _filled: npt.NDArray[np.bool_] = field(init=False)
    _wide: npt.NDArray[np.bool_] = field(init=False)
    _files: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._filled = np.zeros(self.count, np.bool_)
        self._wide = np.zeros(self.count, np.bool_)

    @property
    def file(self) -> Path:
        """Return the `.npy` file of the array."""
        return self.folder / f"images{self._files}.npy"

    def add(self, place: int, array_HWC: npt.NDArray[Any], *, wide: bool) -> None:
        """Copy an image to its place; images are no longer wanted once one differs in size.

        Raises:
            DataError: images differ in their number of channels, beyond grey and RGB.
        """
        array = array_HWC.transpose(2, 0, 1)
        with self._lock:
            if not self.wanted:
                return
            pixels = self._matching(array)
            if pixels is None:
                self.wanted, self.pixels = False, None
                self.file.unlink()
                return
            self._filled[place], self._wide[place] = True, wide
            pixels[place] = array

    def images(self, ends: tuple[float, float]) -> npt.NDArray[np.uint8] | None:
        """Return the added images in the order of their places, uint8 [n, C, H, W], mapped.

        Args:
            ends: values of black and of white in images of more than 8 bits.

        Raises:
            DataError: other channels than RGB are wanted, and cannot be made.
        """
        if self.pixels is None:
            return None
        if self.pixels.dtype == np.float32:
            self._round(ends)
        wanted, own = self.treatment.channels, self.pixels.shape[1]
        if wanted is not None and own != wanted:
            if own != 1:
                raise DataError(
                    f"data.channels={wanted} cannot be made of images with {own} channels. Take "
                    "data.channels out."
                )
            self._remake(wanted, self.pixels.dtype)
        kept = np.flatnonzero(self._filled)
        if len(kept) < self.count:
            self._close_gaps(kept)
        return self.pixels[: len(kept)]

    def _matching(self, array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return the array, made again if needed for an image [C, H, W]; None for another size."""
        if self.pixels is None:
            self.pixels = self._mapped(array.shape, array.dtype)
        if self.pixels.shape[2:] != array.shape[1:]:
            return None
        own, channels = self.pixels.shape[1], len(array)
        if own != channels and {own, channels} != {1, 3}:
            raise DataError(
                f"The images differ in their number of channels: {min(own, channels)} and "
                f"{max(own, channels)}. Grey among RGB becomes RGB; give images of a single other "
                'number of channels, or leave some out by data.skip="PATTERN".'
            )
        kind = np.promote_types(self.pixels.dtype, array.dtype)
        if channels > own or kind != self.pixels.dtype:
            self._remake(max(own, channels), kind)
        return self.pixels

    def _mapped(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return a new mapped array of N images, whose space on the disk is reserved.

        Without that, a full disk would end the process by a signal.
        """
        self._files += 1
        made: npt.NDArray[Any] = np.lib.format.open_memmap(
            self.file, mode="w+", dtype=kind, shape=(self.count, *shape)
        )
        if hasattr(os, "posix_fallocate"):  # macOS lacks it
            with self.file.open("r+b") as opened:
                os.posix_fallocate(opened.fileno(), 0, self.file.stat().st_size)
        return made

    def _remake(self, channels: int, kind: np.dtype[Any]) -> None:
        """Copy the array into one of other channels or type, and remove its file."""
        assert self.pixels is not None
        old, old_file = self.pixels, self.file
        self.pixels = self._mapped((channels, *old.shape[2:]), kind)
        for part in _parts(self.pixels):
            self.pixels[part] = old[part]
        old_file.unlink()

    def _round(self, ends: tuple[float, float]) -> None:
        """Make the array uint8; images of more than 8 bits are scaled from the range to 0..255."""
        assert self.pixels is not None
        old, old_file = self.pixels, self.file
        self.pixels = self._mapped(old.shape[1:], np.dtype(np.uint8))
        for place in np.flatnonzero(self._filled):
            own = ends if self._wide[place] else (0.0, 255.0)
            self.pixels[place] = as_levels(old[place], own, self.treatment.background)
        old_file.unlink()

    def _close_gaps(self, kept: npt.NDArray[np.int64]) -> None:
        """Move the images that could be decoded to the front, in order."""
        assert self.pixels is not None
        front = self.pixels[: len(kept)]
        for part in _parts(front):
            front[part] = self.pixels[kept[part]]


def _parts(array: npt.NDArray[Any]) -> list[slice]:
    """Return slices of the first axis that hold about `COPIED_BYTES` each."""
    step = max(1, COPIED_BYTES // max(1, array[:1].nbytes))
    return [slice(start, start + step) for start in range(0, len(array), step)]


def as_levels(
    image: npt.NDArray[np.float32], ends: tuple[float, float], background: str
) -> npt.NDArray[np.uint8]:
    """Return an image as uint8: `ends` become 0 and 255, values beyond them are clipped.

    Args:
        image: NaN where `pad` added pixels.
        ends: value of black and of white.
        background: colour of the added pixels.
    """
    low, high = ends
    fill = float(ImageColor.getcolor(background, "L"))  # type: ignore[arg-type]  # one channel
    levels = (image - low) * (255 / max(high - low, 1e-30))
    rounded: npt.NDArray[np.uint8] = np.clip(
        np.nan_to_num(levels, nan=fill).round(), 0, 255
    ).astype(np.uint8)
    return rounded
