"""Small sets of images on disk, in the layouts that people publish; every image differs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sweep.config.models import DataConfig
from sweep.datasets import bind
from sweep.datasets.images import Split, Splits
from sweep.datasets.reading.report import lines_of

SIDE = 6


def noise(name: str, side: int = SIDE, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Return the image that belongs to a name, uint8 [side, side, channels]."""
    seed = list(name.encode())
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), np.uint8)


def encoded(picture: Image.Image | npt.NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """Return an image in one of Pillow's formats."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture.squeeze())
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def files(root: Path, names: Iterable[str], side: int = SIDE) -> Path:
    """Write a PNG of noise for each name."""
    for name in names:
        write(root / name, encoded(noise(name, side)))
    return root


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def several(folder: str, count: int, suffix: str = ".png") -> list[str]:
    """Return names of files in a folder."""
    return [f"{folder}/{number}{suffix}" for number in range(count)]


def table(
    path: Path,
    columns: Mapping[str, Any],
    *,
    count: int,
    classes: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write a table of images of noise, named after the file, with other columns."""
    images = [encoded(noise(f"{path.name}{row}")) for row in range(count)]
    made = {"image": pa.array([{"bytes": image, "path": None} for image in images]), **columns}
    features = {
        name: {"_type": "ClassLabel", "names": list(names)}
        for name, names in (classes or {}).items()
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(made).replace_schema_metadata(metadata), path, row_group_size=8)
    return path


def read(path: Path, **keys: Any) -> Splits:
    """Read the images at a path."""
    config = DataConfig.model_validate({"path": str(path), **keys})
    return bind(config).make()(config)


def pixels(name: str) -> bytes:
    """Return the pixels of the image of a name, as a split holds them."""
    return noise(name).transpose(2, 0, 1).tobytes()


def names_in(split: Split, names: Iterable[str]) -> set[str]:
    """Return which of the named images a split holds."""
    held = {image.tobytes() for image in split.images}
    return {name for name in names if pixels(name) in held}


def labels_in(splits: Splits, names: Iterable[str]) -> dict[str, str]:
    """Return the class of each named image that is in a labelled split."""
    of_pixels = {pixels(name): name for name in names}
    found = {}
    for split in (splits.train, splits.validation, splits.test):
        labels = [-1] * len(split) if split.labels is None else split.labels
        for image, label in zip(split.images, labels, strict=True):
            if label >= 0 and image.tobytes() in of_pixels:
                found[of_pixels[image.tobytes()]] = splits.classes[label]
    return found


def summary(splits: Splits) -> str:
    """Return the lines that are printed."""
    assert splits.report is not None
    return "\n".join(lines_of(splits.report))
