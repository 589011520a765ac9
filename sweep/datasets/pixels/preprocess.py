"""What is done to an image before the encoder sees it, for use outside of a study.

An export's JSON holds these steps under `preprocess`, and `sweep.load_encoder(...).preprocess`
applies them. Shapes: C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sweep.core.errors import DataError
from sweep.datasets.pixels.canvas import as_levels
from sweep.datasets.pixels.fit import How
from sweep.datasets.pixels.picture import Treatment, of_array, of_picture

DRAFT = 2
"""A JPEG is decoded at 1/2, 1/4 or 1/8 if its sides stay this many times the wanted size."""

STEPS = (
    "decode the first frame; a JPEG at 1/2, 1/4 or 1/8 if each side stays at least `jpeg_sides`",
    "turn as EXIF says",
    "compose transparency over `background`",
    "make grey or RGB, as `channels` says",
    "resize: crop (short side to `size`, then the centre), squeeze or pad, as `resize` says",
    "scale `range` to 0..255 if the image has more than 8 bits",
    "round to the nearest whole number, clip to 0..255",
    "(image / 255 - mean) / std, per channel",
)
"""The steps in their order; the words in quotes are fields of the JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """The steps from a decoded image to the levels 0..255 that are normalised.

    Args:
        shape: (C, H, W) of the encoder's images.
        size: side of the square that images are resized to; None if they keep their size.
        resize, background: as the keys of `[data]`.
        range: value of black and of white in images of more than 8 bits; None if there were none.
    """

    shape: tuple[int, int, int]
    size: int | None
    resize: How = "crop"
    background: str = "white"
    range: tuple[float, float] | None = None

    def __call__(self, image: Image.Image | npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return an image as uint8 [C, H, W].

        Args:
            image: of Pillow, best as `Image.open` returns it: a JPEG whose pixels were read already
                cannot be decoded at a smaller scale any more. Or an array [H, W] or [H, W, C].

        Raises:
            DataError: another size and no `size`, other channels, or more than 8 bits and no
                `range`.
        """
        treatment = Treatment(size=self.size, resize=self.resize, background=self.background)
        if isinstance(image, Image.Image):
            picture = of_picture(image, treatment)
        else:
            picture = of_array(image, treatment)
        if picture.bits > 8 and self.range is None:
            raise DataError(
                f"The image has {picture.bits} bits, and the encoder was trained on 8 bits. Give "
                "an image of 8 bits."
            )
        array = picture.array.transpose(2, 0, 1)
        if picture.bits > 8:
            array = as_levels(array, self.range or (0, 255), self.background)
        if array.shape[1:] != self.shape[1:]:
            raise DataError(
                f"The image has {array.shape[2]} x {array.shape[1]} pixels, and the encoder was "
                f"trained on {self.shape[2]} x {self.shape[1]} without resizing. Resize it."
            )
        return self._with_channels(np.ascontiguousarray(array))

    def _with_channels(self, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the image with the encoder's channels: grey and RGB become each other."""
        wanted = self.shape[0]
        if len(array) == wanted:
            return array
        if (len(array), wanted) == (1, 3):
            return np.repeat(array, 3, axis=0)
        if (len(array), wanted) == (3, 1):
            grey = Image.fromarray(np.ascontiguousarray(array.transpose(1, 2, 0))).convert("L")
            return np.asarray(grey)[None]
        raise DataError(
            f"The image has {len(array)} channels, and the encoder was trained on {wanted}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the steps for an export."""
        return {
            "steps": list(STEPS),
            "interpolation": "bicubic, antialiased (Pillow's BICUBIC)",
            "jpeg_sides": None if self.size is None else DRAFT * self.size,
            "shape": list(self.shape),
            "channels": self.shape[0],
            "size": self.size,
            "resize": self.resize,
            "background": self.background,
            "range": None if self.range is None else list(self.range),
        }

    @classmethod
    def from_json(cls, steps: Mapping[str, Any]) -> Preprocess:
        """Return the steps that an export states; raise `ValueError` or `TypeError` otherwise."""
        channels, height, width = map(int, steps["shape"])
        ends = steps["range"]
        if steps["resize"] not in ("crop", "squeeze", "pad"):
            raise ValueError(f"the resize {steps['resize']!r} is not known")
        return cls(
            shape=(channels, height, width),
            size=None if steps["size"] is None else int(steps["size"]),
            resize=steps["resize"],
            background=str(steps["background"]),
            range=None if ends is None else (float(ends[0]), float(ends[1])),
        )
