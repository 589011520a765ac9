"""Resize arrays of images with Pillow, in threads.

Resizing makes every image square by antialiased bicubic interpolation; it does not keep the ratio
of the sides.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image

Images = npt.NDArray[np.uint8]

CHUNK = 64  # images per task of a thread: a task costs as much as decoding one small image


def resize(images: Images, size: int) -> Images:
    """Return images [N, C, H, W] resized to [N, C, size, size], uint8.

    Returns the same array if it already has this size. Equivalent to
    `PIL.Image.resize((size, size), BICUBIC)` of each image.
    """
    count, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images
    resized = np.empty((count, channels, size, size), np.uint8)

    def resize_chunk(first: int) -> None:
        for index in range(first, min(first + CHUNK, count)):
            hwc = np.ascontiguousarray(images[index].transpose(1, 2, 0))
            picture = Image.fromarray(hwc.squeeze(2) if channels == 1 else hwc)
            small = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
            resized[index] = small.reshape(size, size, channels).transpose(2, 0, 1)

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(resize_chunk, range(0, count, CHUNK)))
    return resized


def threads() -> int:
    """Return the number of cores that this process may use.

    Threads are enough, because Pillow releases the interpreter's lock while it decodes.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
