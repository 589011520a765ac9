"""The steps that an export states, from the config of the data and how they were read."""

from __future__ import annotations

from typing import Any

from sweep.config.models import DataConfig
from sweep.datasets import DATASETS
from sweep.datasets.cache import Data
from sweep.datasets.image_files import image_files
from sweep.datasets.pixels.preprocess import Preprocess
from sweep.datasets.reading.reader import READING


def steps_of(config: DataConfig, data: Data) -> dict[str, Any] | None:
    """Return the JSON of `Preprocess`, or None for images that are not read from files.

    Args:
        config: of the data, with the keys of the data set.
        data: the images; their report says which range was used.
    """
    if config.reading != READING or DATASETS.get(str(config.name)) is not image_files:
        return None
    keys = config.parameters
    wide = (data.report.get("bits") or 8) > 8
    low, high = data.report.get("range") or (0.0, 255.0)
    return Preprocess(
        shape=data.shape,
        size=config.size,
        resize=keys.get("resize", "crop"),
        background=keys.get("background", "white"),
        range=(float(low), float(high)) if wide else None,
    ).to_json()
