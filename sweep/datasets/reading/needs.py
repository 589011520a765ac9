"""What decoding a set of images needs: disk and memory, known from headers; and whether it fits."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sweep.core.errors import DataError
from sweep.datasets._resize import threads
from sweep.datasets.pixels.picture import Header, Treatment

BASE_BYTES = 300 * 10**6
"""Memory of a process that decodes, without images: measured, rounded up."""
WORK_BYTES = 12
"""Bytes of memory for each pixel of an image while it is decoded: three copies in 4 bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What decoding needs.

    Args:
        images: how many are decoded.
        shape: (C, H, W) of each in the cache, by the headers that were read.
        disk_bytes: at most, while decoding.
        kept_bytes: on the disk afterwards.
        memory_bytes: of the process, without mapped pages; a heuristic.
    """

    images: int
    shape: tuple[int, int, int]
    disk_bytes: int
    kept_bytes: int
    memory_bytes: int


def needs_of(headers: Sequence[Header], images: int, treatment: Treatment) -> Needs | None:
    """Return what decoding needs, or None if no header could be read."""
    if not headers:
        return None
    channels = treatment.channels or max(header.channels for header in headers)
    side = treatment.size
    height, width = (side, side) if side else (headers[0].height, headers[0].width)
    kept = images * channels * height * width
    wide = any(header.bits > 8 for header in headers)
    pixels = max(header.width * header.height for header in headers)
    return Needs(
        images=images,
        shape=(channels, height, width),
        disk_bytes=kept * (5 if wide else 1),  # float32 until the range is known, then uint8
        kept_bytes=kept,
        memory_bytes=BASE_BYTES + threads() * WORK_BYTES * pixels,
    )


def check_fits(needs: Needs | None, folder: Path) -> None:
    """Raise `DataError` if disk or memory is too small.

    Args:
        needs: of decoding, or None if they are not known.
        folder: that images are decoded into; it, or a folder above it, exists.
    """
    if needs is None:
        return
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(place).free
    channels, height, width = needs.shape
    what = f"{needs.images:,} images of {width} x {height} with {channels} channels"
    if needs.disk_bytes > free:
        share = free / needs.disk_bytes
        side, count = int(min(height, width) * math.sqrt(share)), int(needs.images * share)
        raise DataError(
            f"Decoded, {what} need {_gigabytes(needs.disk_bytes)} of disk, and "
            f"{_gigabytes(free)} are free at {place}. Type a smaller data.size (at most {side}) "
            f"or data.limit (at most about {count}), or set the environment variable SWEEP_CACHE "
            "to a folder on a larger disk."
        )
    available = psutil.virtual_memory().available
    if needs.memory_bytes > available:
        raise DataError(
            f"Decoding {what} needs about {_gigabytes(needs.memory_bytes)} of memory, and "
            f"{_gigabytes(available)} are available. End other programs, let sweep use fewer than "
            f"its {threads()} cores (taskset), or make the images smaller."
        )


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
