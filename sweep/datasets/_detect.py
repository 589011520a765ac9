"""Which data set lies at a path, told from names alone."""

from __future__ import annotations

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._checks import existing_path
from sweep.datasets._files import IMAGE_SUFFIXES, PARQUET_SUFFIXES, walk
from sweep.datasets.torchvision_sets import FOLDERS


def detect(config: DataConfig) -> str:
    """Return `config.name`, or the name of what lies at `config.path`.

    Without either it is `cluttered_digits`. A folder that holds Parquet files and images
    is named by what comes first in order of names.

    Raises:
        DataError: nothing known lies there, or the path cannot be read.
    """
    if config.name is not None:
        return config.name
    if config.path is None:
        return "cluttered_digits"
    path = existing_path(config)
    for name, folder in FOLDERS.items():
        if path.name == folder or (path / folder).is_dir():
            return name
    for file in walk(path, (*PARQUET_SUFFIXES, *IMAGE_SUFFIXES)):
        return "parquet" if file.suffix.lower() in PARQUET_SUFFIXES else "imagefolder"
    raise DataError(
        f"data.path={config.path} holds no data set that is known: looked for .parquet files, "
        f"{', '.join(f'{folder}/' for folder in FOLDERS.values())} and images in class folders. "
        "Give a path that holds one, or data.name=cluttered_digits without a path."
    )
