"""Compressed images to one uint8 array, and arrays to another size, by Pillow.

Resizing squeezes to a square by antialiased bicubic interpolation. Images that cannot
be decoded are named and left out.
"""

from __future__ import annotations

import io
import os
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

Images = npt.NDArray[np.uint8]
Encoded = bytes | Path | None
Shape = tuple[int, ...]

BATCH = 512
SHARE = 64  # images that a thread takes at once: handing one over costs as much as decoding it
UNDECODABLE_SHARE = 0.01
BROKEN = (
    OSError,  # no image, or a truncated one; Pillow's UnidentifiedImageError is one
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
    """What became of a list of encoded images.

    Args:
        images: uint8 [n, 3, H, W], those that could be decoded, in order.
        kept: [N], true where an image could be decoded; n of them.
        undecodable: names of the others.
    """

    images: Images
    kept: npt.NDArray[np.bool_]
    undecodable: tuple[str, ...]


def decode(encoded: Iterable[tuple[str, Encoded]], count: int, size: int | None) -> Decoded:
    """Decode `count` images to RGB, in threads; one batch of compressed images is held at once.

    Args:
        encoded: (name, compressed bytes or the file that holds them).
        count: how many there are.
        size: side of the square to which each is resized; None keeps one common size.

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
            shares = [batch[first : first + SHARE] for first in range(0, len(batch), SHARE)]
            arrays = [
                array
                for share in pool.map(
                    lambda share: [_decode(item[1], size) for item in share], shares
                )
                for array in share
            ]
            good = [array for array in arrays if array is not None]
            _check_sizes([*good, *(() if images is None or not filled else (images[0],))])
            if images is None and good:
                images = np.empty((count, *good[0].shape), np.uint8)
            if images is not None and good:
                np.stack(good, out=images[filled : filled + len(good)])
                filled += len(good)
            for offset, ((name, _), array) in enumerate(zip(batch, arrays, strict=True)):
                kept[start + offset] = array is not None
                if array is None:
                    undecodable.append(name)
    if images is None or len(undecodable) > UNDECODABLE_SHARE * count:
        some = ", ".join(undecodable[:3])
        raise DataError(
            f"{len(undecodable)} of {count} images cannot be decoded, more than "
            f"{UNDECODABLE_SHARE:.0%}: {some}{' ...' if len(undecodable) > 3 else ''}. "
            "Mend or remove them."
        )
    return Decoded(images=images[:filled], kept=kept, undecodable=tuple(undecodable))


def resize(images: Images, size: int) -> Images:
    """Return uint8 [N, C, size, size] from uint8 [N, C, H, W]; the same array if that is its size.

    Equivalent to `PIL.Image.resize((size, size), BICUBIC)` of each image.
    """
    count, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images
    out = np.empty((count, channels, size, size), np.uint8)

    def some(first: int) -> None:
        for index in range(first, min(first + SHARE, count)):
            hwc = np.ascontiguousarray(images[index].transpose(1, 2, 0))
            picture = Image.fromarray(hwc.squeeze(2) if channels == 1 else hwc)
            small = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
            out[index] = small.reshape(size, size, channels).transpose(2, 0, 1)

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(some, range(0, count, SHARE)))
    return out


def threads() -> int:
    """Return the number of cores that this process may use; Pillow decodes without the lock."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _decode(encoded: Encoded, size: int | None) -> Images | None:
    """Return uint8 [3, H, W], or None where Pillow cannot read it."""
    if encoded is None:
        return None
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as picture:
            if size is not None:
                picture.draft("RGB", (2 * size, 2 * size))  # JPEG decoded at 1/2, 1/4 or 1/8
            rgb = picture.convert("RGB")
            if size is not None:
                rgb = rgb.resize((size, size), Image.Resampling.BICUBIC)
    except BROKEN:
        return None
    return np.asarray(rgb).transpose(2, 0, 1)


def _check_sizes(arrays: list[Images]) -> None:
    sizes = sorted({array.shape[1:] for array in arrays})
    if len(sizes) > 1:
        raise mixed_sizes(sizes)


def mixed_sizes(sizes: Iterable[Shape]) -> DataError:
    """Return the error for images of several (height, width)."""
    several = sorted(set(sizes))
    met = ", ".join(f"{width}x{height}" for height, width in several[:5])
    return DataError(
        f"The images differ in size: {met}{' ...' if len(several) > 5 else ''} "
        "(width x height) were met. Type data.size=PIXELS, for example data.size=32, "
        "to resize them all."
    )
