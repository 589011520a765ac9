"""Say how the images of a config are read, without a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweep.config.models import DataConfig
from sweep.datasets import bind
from sweep.datasets.cache import load
from sweep.datasets.image_files import ImageFiles
from sweep.datasets.pixels.many import Progress, silent
from sweep.datasets.reading.reader import MixedSizes

NO_DIGEST = {"cache": {"digest": None}}


def inspect(
    config: DataConfig,
    *,
    quick: bool = False,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Mapping[str, Any]:
    """Return the report of a config's images; see `sweep.datasets.reading.report`.

    Args:
        config: which images. They may differ in size although no size is given.
        quick: read names, labels and the headers of 256 images only. Other sets than image files
            are always read.
        cache: folder of decoded data.
        progress: is called with the number of images decoded, and of how many.

    Raises:
        DataError: a reading that is not certain, or images that cannot be read.
    """
    bound = bind(config)
    reader = bound.make()
    if not isinstance(reader, ImageFiles):
        return load(config, cache=cache).report
    if quick:
        return {**reader.quick(config), **NO_DIGEST}
    try:
        return load(config, cache=cache, progress=progress).report
    except MixedSizes:
        pass
    with TemporaryDirectory(prefix="sweep-") as folder:
        try:
            splits = reader.inspected(Path(folder), config, progress)
        except MixedSizes as mixed:
            return {**(mixed.report or {}), **NO_DIGEST}
        return {**(splits.report or {}), **NO_DIGEST}  # the files changed since
