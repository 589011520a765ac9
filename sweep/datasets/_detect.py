"""Which data set is at a path. Images are not opened, unless no suffix says what a file is."""

from __future__ import annotations

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets import first_reading
from sweep.datasets._checks import existing_path
from sweep.datasets.first_reading.files import IMAGE_SUFFIXES, PARQUET_SUFFIXES, walk
from sweep.datasets.reading.found import first_image
from sweep.datasets.reading.tables import holds_images
from sweep.datasets.torchvision_sets import FOLDERS


def detect(config: DataConfig) -> str:
    """Return `config.name`, or else the name of the data set at `config.path`.

    If both are None, it is `cluttered_digits`. In a folder that holds tables of images and images,
    the first of these files in the order of names decides; reading it refuses the mixture.

    Raises:
        DataError: the path holds no known data set, or it cannot be read.
    """
    if config.name is not None:
        return config.name
    if config.path is None:
        return "cluttered_digits"
    path = existing_path(config)
    for name, folder in FOLDERS.items():
        if path.name == folder or (path / folder).is_dir():
            return name
    if config.reading == first_reading.READING:
        for file in walk(path, (*PARQUET_SUFFIXES, *IMAGE_SUFFIXES)):
            return "parquet" if file.suffix.lower() in PARQUET_SUFFIXES else "imagefolder"
    elif (first := first_image(path, holds_images)) is not None:
        return "parquet" if first.suffix.lower() in PARQUET_SUFFIXES else "imagefolder"
    raise DataError(
        f"data.path={config.path} holds no known data set: looked for .parquet files, "
        f"{', '.join(f'{folder}/' for folder in FOLDERS.values())} and images in class folders. "
        "Give the path of a data set, or data.name=cluttered_digits without a path."
    )
