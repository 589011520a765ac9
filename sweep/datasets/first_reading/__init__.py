"""How studies that began before `data.reading = 2` read image folders and Parquet tables.

Nothing here changes, so that such a study resumes with the same images and the same ids. Images
are squeezed to a square, transparency and EXIF orientation are ignored, and every image becomes
RGB. New studies read their images with `sweep.datasets.reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config.models import DataConfig
from sweep.datasets.first_reading.image_folder import image_folder
from sweep.datasets.first_reading.parquet import parquet
from sweep.datasets.images import Splits

READING = 1
"""The value of `data.reading`."""

MEMBERS: Mapping[str, Callable[..., Callable[[DataConfig], Splits]]] = {
    "imagefolder": image_folder,
    "parquet": parquet,
}
