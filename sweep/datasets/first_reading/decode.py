"""Decode compressed images into one uint8 array with Pillow, as the first reading does.

Resizing makes every image square by antialiased bicubic interpolation; it does not keep the ratio
of the sides. Images that cannot be decoded are left out, and their names are returned.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sweep.core.errors import DataError
from sweep.datasets._resize import CHUNK, Images, threads

Encoded = bytes | Path | None
Shape = tuple[int, ...]

BATCH = 512  # compressed images that are held in memory at once
MAX_UNDECODABLE = 0.01  # of the images of a split
DECODE_ERRORS = (
    OSError,  # not an image, or a truncated one; Pillow's UnidentifiedImageError is an OSError
    SyntaxError,  # a broken PNG chunk
    ValueError,
    IndexError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """The decoded images of a list of N encoded images.

    Args:
        images: uint8 [n, 3, H, W], the n images that could be decoded, in order.
        kept: bool [N], true for each image that could be decoded.
        undecodable: names of the images that could not be decoded.
    """

    images: Images
    kept: npt.NDArray[np.bool_]
    undecodable: tuple[str, ...]


def decode(encoded: Iterable[tuple[str, Encoded]], count: int, size: int | None) -> Decoded:
    """Decode `count` images to RGB, in threads, one batch of compressed images at a time.

    Args:
        encoded: (name, compressed image) pairs; an image is bytes, a file's path or None.
        count: number of images in `encoded`.
        size: side of the square that each image is resized to, in pixels; None keeps the size,
            which must then be the same for all.

    Raises:
        DataError: the sizes differ and `size` is None; or more than 1 % cannot be decoded.
    """
    images = None if size is None else np.empty((count, 3, size, size), np.uint8)
    kept = np.zeros(count, np.bool_)
    undecodable: list[str] = []
    filled = 0
    stream = iter(encoded)
    with ThreadPoolExecutor(threads()) as pool:
        for start in range(0, count, BATCH):
            batch = list(islice(stream, BATCH))
            chunks = [batch[first : first + CHUNK] for first in range(0, len(batch), CHUNK)]
            arrays = [
                array
                for decoded in pool.map(
                    lambda chunk: [_decode(image, size) for _, image in chunk], chunks
                )
                for array in decoded
            ]
            valid = [array for array in arrays if array is not None]
            _check_sizes([*valid, *(() if images is None or not filled else (images[0],))])
            if images is None and valid:
                images = np.empty((count, *valid[0].shape), np.uint8)
            if images is not None and valid:
                np.stack(valid, out=images[filled : filled + len(valid)])
                filled += len(valid)
            for offset, ((name, _), array) in enumerate(zip(batch, arrays, strict=True)):
                kept[start + offset] = array is not None
                if array is None:
                    undecodable.append(name)
    if images is None or len(undecodable) > MAX_UNDECODABLE * count:
        examples = ", ".join(undecodable[:3])
        raise DataError(
            f"{len(undecodable)} of {count} images cannot be decoded, more than "
            f"{MAX_UNDECODABLE:.0%}: {examples}{' ...' if len(undecodable) > 3 else ''}. "
            "Repair or remove them."
        )
    return Decoded(images=images[:filled], kept=kept, undecodable=tuple(undecodable))


def _decode(encoded: Encoded, size: int | None) -> Images | None:
    """Return one image as uint8 [3, H, W], or None if Pillow cannot decode it."""
    if encoded is None:
        return None
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as picture:
            if size is not None:
                picture.draft("RGB", (2 * size, 2 * size))  # JPEG decoded at 1/2, 1/4 or 1/8
            rgb = picture.convert("RGB")
            if size is not None:
                rgb = rgb.resize((size, size), Image.Resampling.BICUBIC)
    except DECODE_ERRORS:
        return None
    return np.asarray(rgb).transpose(2, 0, 1)


def _check_sizes(arrays: list[Images]) -> None:
    sizes = sorted({array.shape[1:] for array in arrays})
    if len(sizes) > 1:
        raise mixed_sizes(sizes)


def mixed_sizes(sizes: Iterable[Shape]) -> DataError:
    """Return the error for images that differ in (height, width)."""
    distinct = sorted(set(sizes))
    examples = ", ".join(f"{width}x{height}" for height, width in distinct[:5])
    return DataError(
        f"The images differ in size: {examples}{' ...' if len(distinct) > 5 else ''} "
        "(width x height). Type data.size=PIXELS, for example data.size=32, "
        "to resize them all."
    )
