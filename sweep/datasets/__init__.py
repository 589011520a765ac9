"""Data sets: a function of a `DataConfig` that returns images and, where known, labels.

Members never cache or lock: `sweep.datasets.cache` does, once per node. They split as
`sweep.datasets._rows` does: what the data brings is kept, the rest is drawn with
`config.seed`, validation never from test. One's own is named `"package.module:function"`.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.config.models import DataConfig
from sweep.datasets._detect import detect
from sweep.datasets.cluttered_digits import cluttered_digits
from sweep.datasets.digits import digits
from sweep.datasets.image_folder import image_folder
from sweep.datasets.images import Splits
from sweep.datasets.parquet import parquet
from sweep.datasets.torchvision_sets import cifar10, cifar100, stl10

__all__ = ["DATASETS", "Dataset", "detect"]

Dataset = Callable[[DataConfig], Splits]
"""May raise `DataError`; draws nothing but from `config.seed`."""

DATASETS: dict[str, Dataset] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "cluttered_digits": cluttered_digits,
    "digits": digits,
    "imagefolder": image_folder,
    "parquet": parquet,
    "stl10": stl10,
}
