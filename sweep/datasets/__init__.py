"""Data sets: images and, if known, labels; and the cache of decoded images (`cache`).

A member is a factory `name(*, key=default)` that returns a function of a `DataConfig`. The keys
`path`, `size`, `limit` and the shares of the splits are common to all data sets. A member never
caches or locks, because `cache` does this once per node. It keeps the splits that the data has, and
draws the others with `config.seed`. Image folders and tables are read by `reading` (what lies at a
path) and `pixels` (one image); studies that began earlier read them by `first_reading`. Imports
`core` and `config`. To add a data set: a file here, and a line in `DATASETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config.models import DataConfig
from sweep.core import plugins
from sweep.datasets import first_reading
from sweep.datasets._detect import detect
from sweep.datasets.cluttered_digits import cluttered_digits
from sweep.datasets.digits import digits
from sweep.datasets.image_files import image_files
from sweep.datasets.images import Splits
from sweep.datasets.torchvision_sets import cifar10, cifar100, stl10

__all__ = ["DATASETS", "Dataset", "bind", "detect"]

Dataset = Callable[[DataConfig], Splits]
"""Reads the images and splits them. May raise `DataError`; its only seed is `config.seed`."""

DATASETS: Mapping[str, Callable[..., Dataset]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "cluttered_digits": cluttered_digits,
    "digits": digits,
    "imagefolder": image_files,
    "parquet": image_files,
    "stl10": stl10,
}


def bind(config: DataConfig, *, where: str = "data") -> plugins.Bound[Dataset]:
    """Return the data set that a config names, or that is found at its path, its keys checked.

    Args:
        config: the name, the keys of the data set, and the keys common to all data sets.
        where: the config's table, for error sentences: `data` or `probe.data`.

    Raises:
        ConfigError: no such data set, or a key or value that it does not take.
        DataError: the path holds no known data set, or cannot be read.
    """
    earlier = first_reading.MEMBERS if config.reading == first_reading.READING else {}
    return plugins.bind(
        "The data set",
        detect(config),
        {**DATASETS, **earlier},
        config.parameters,
        where=where,
        filled={"seed": config.seed},
        common=DataConfig.model_fields,
    )
