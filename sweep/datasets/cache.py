"""The cache of decoded images: one copy on each node, decoded once, kept as memory maps.

`fingerprint` names the content without decoding it. `load` decodes it under a file lock into
`CACHE/FINGERPRINT/`: the files are written to a folder beside it, which is then renamed. The files
are mapped read-only, so that all processes on the node share the same pages. The cache may be
deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from sweep.config.models import DataConfig
from sweep.config.study import digest
from sweep.core.errors import DataError
from sweep.datasets import bind, detect
from sweep.datasets._checks import existing_path
from sweep.datasets._files import IMAGE_SUFFIXES, PARQUET_SUFFIXES, walk
from sweep.datasets.cluttered_digits import VERSION as CLUTTERED_VERSION
from sweep.datasets.images import Split, Splits
from sweep.datasets.torchvision_sets import READERS, checksums

CACHE_VERSION = 1
"""Version of the cache folder's files and of the decoding: part of each fingerprint."""

NOT_CONTENT = {"path", "download"}
"""Fields of `DataConfig` that do not change the arrays."""

SPLITS = ("pretrain", "train", "validation", "test")
HASHED_BYTES = 64 * 1024
"""Bytes at the start and at the end of a file that are hashed."""
HASHED_FILES = 4096
"""Largest number of files whose bytes are hashed."""
SMALLEST_STD = 1 / 255

_SUFFIXES = {"parquet": PARQUET_SUFFIXES, "imagefolder": IMAGE_SUFFIXES}

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """A data set as a trial gets it.

    Args:
        splits: their arrays are read-only memory maps.
        digest: the `fingerprint` of the data.
        mean, std: float32 [C], of the pretraining images' pixels scaled to 0..1; std is at
            least 1/255.
        shape: (C, H, W) of every image.
    """

    splits: Splits
    digest: str
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    shape: Shape


def fingerprint(config: DataConfig) -> str:
    """Return 32 hex digits that name the arrays, the same on every node, without decoding.

    Two configs with the same fingerprint have the same images in the same splits. The digest covers
    the fields of `config` that change the arrays, and the content. For files, the content is their
    relative names, their sizes, and their first and last 64 KiB (of 4,096 evenly spaced files if
    there are more). For torchvision's sets it is the checksums that torchvision requires. For a
    plug-in it is its name and the files at `path`. So if you change a plug-in's code, also change
    one of its keys.

    Raises:
        ConfigError: no data set has that name.
        DataError: the path is missing, or holds no known data set.
    """
    bound = bind(config)
    common = config.model_dump(mode="json", include=set(DataConfig.model_fields) - NOT_CONTENT)
    fields = {**common, **bound.keys, "name": bound.name}
    return digest(
        {"layout": CACHE_VERSION, "config": fields, "content": _content(config, bound.name)}
    )


def load(config: DataConfig, *, cache: Path | None = None) -> Data:
    """Return the data; the first process on a node decodes it.

    Args:
        config: which images.
        cache: folder of decoded data; by default `$SWEEP_CACHE`, or `~/.cache/sweep`.

    Raises:
        ConfigError: no data set has that name.
        DataError: the data is missing, unreadable or too small, or the cache cannot be
            written.
    """
    name = fingerprint(config)
    root = cache or Path(os.environ.get("SWEEP_CACHE") or "~/.cache/sweep")
    root = root.expanduser()
    folder = root / name
    if (data := _open(folder)) is not None:
        return data
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{name}.lock")
        lock.acquire()
    try:
        if _open(folder) is None:
            bound = bind(config)
            reader = bound.make()
            with bound.guarded():
                splits = reader(config)
            splits = _checked(splits, config)
            with _writing(root):
                _write(splits, folder)
    finally:
        lock.release()
    data = _open(folder)
    if data is None:
        raise DataError(
            f"The cache {folder} was damaged while it was written. Delete it and retry."
        )
    return data


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Turn a failure to write the cache into a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The cache {root} cannot be written: {error}. "
            "Set the environment variable SWEEP_CACHE to a writable folder with enough space."
        ) from error


def _content(config: DataConfig, name: str) -> Any:
    """Return JSON that identifies the images: checksums, names, sizes."""
    if name in READERS:
        return checksums(config, name)
    if config.path is None:
        return CLUTTERED_VERSION if name == "cluttered_digits" else name
    root = existing_path(config)
    files = sorted(walk(root, _SUFFIXES.get(name, ())))
    base = root if root.is_dir() else root.parent
    listing = [(path.relative_to(base).as_posix(), path.stat().st_size) for path in files]
    every = -(-len(files) // HASHED_FILES) or 1
    return [listing, [_ends(path) for path in files[::every]]]


def _ends(path: Path) -> str:
    """Digest the first and the last 64 KiB of a file."""
    hashed = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            hashed.update(file.read(HASHED_BYTES))
            file.seek(max(file.tell(), path.stat().st_size - HASHED_BYTES))
            hashed.update(file.read(HASHED_BYTES))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Repair or remove it.") from error
    return hashed.hexdigest()


def _checked(splits: Splits, config: DataConfig) -> Splits:
    """Return the splits if they have the shapes and types of `sweep.datasets.images`."""
    shape = splits.pretrain.images.shape[1:]
    for name in SPLITS:
        split: Split = getattr(splits, name)
        images, labels = split.images, split.labels
        fault = ""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape:
            fault = f"images are {images.dtype} {list(images.shape)}, not uint8 [N, C, H, W]"
            fault += f" with C, H, W = {list(shape)} as in pretrain"
        elif not len(images):
            fault = "there are no images"
        elif labels is not None and (labels.dtype != np.int64 or labels.shape != images.shape[:1]):
            fault = f"labels are {labels.dtype} {list(labels.shape)}, not int64 [{len(images)}]"
        elif labels is not None and labels.min() < 0:
            fault = f"a label is {labels.min()}; labels count from 0"
        elif labels is not None and splits.classes and labels.max() >= len(splits.classes):
            fault = f"a label is {labels.max()}, but there are {len(splits.classes)} classes"
        elif any(np.shape(values) != images.shape[:1] for values in split.factors.values()):
            fault = f"factors must have {len(images)} values each"
        if fault:
            raise DataError(f"The data set {detect(config)!r}, {name} split: {fault}.")
    return splits


def _write(splits: Splits, folder: Path) -> None:
    """Write the files to a partial folder, then rename the folder; the caller holds the lock."""
    partial = folder.with_name(f"{folder.name}.partial")
    for stale in (partial, folder):
        shutil.rmtree(stale, ignore_errors=True)
    partial.mkdir()
    mean, std = _moments(splits.pretrain.images)
    written: dict[int, dict[str, Any]] = {}
    index: dict[str, Any] = {
        "mean": mean,
        "std": std,
        "classes": list(splits.classes),
        "undecodable": list(splits.undecodable),
    }
    for name in SPLITS:
        split: Split = getattr(splits, name)
        index[name] = {
            "images": _save(split.images, partial, f"{name}-images", written),
            "labels": None
            if split.labels is None
            else _save(split.labels, partial, f"{name}-labels", written),
            "factors": {
                factor: _save(values, partial, f"{name}-factor{number}", written)
                for number, (factor, values) in enumerate(split.factors.items())
            },
        }
    (partial / "index.json").write_text(json.dumps(index), encoding="utf-8")
    partial.rename(folder)


def _save(
    array: npt.NDArray[Any], folder: Path, name: str, written: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """Save an array, only once if several splits share it; return its entry in the index."""
    if id(array) not in written:
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        written[id(array)] = {"file": path.name, "bytes": path.stat().st_size}
    return written[id(array)]


def _open(folder: Path) -> Data | None:
    """Map the arrays of a cache folder; None if it is missing, unfinished or damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        splits = {name: _split(index[name], folder) for name in SPLITS}
        return Data(
            splits=Splits(
                **splits,
                classes=tuple(index["classes"]),
                undecodable=tuple(index["undecodable"]),
            ),
            digest=folder.name,
            mean=np.array(index["mean"], np.float32),
            std=np.array(index["std"], np.float32),
            shape=splits["pretrain"].images.shape[1:],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _split(entry: dict[str, Any], folder: Path) -> Split:
    return Split(
        images=_map(entry["images"], folder),
        labels=None if entry["labels"] is None else _map(entry["labels"], folder),
        factors={name: _map(item, folder) for name, item in entry["factors"].items()},
    )


def _map(entry: dict[str, Any], folder: Path) -> npt.NDArray[Any]:
    """Map one array read-only; raise `ValueError` if its file has another size."""
    path = folder / entry["file"]
    if path.stat().st_size != entry["bytes"]:
        raise ValueError(f"{path} has a wrong size")
    mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _moments(images_NCHW: npt.NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel in 0..1, computed from histograms.

    The standard deviation is at least `SMALLEST_STD`.
    Equivalent to `(images / 255).mean((0, 2, 3))` and `.std((0, 2, 3))`.
    """
    values = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images_NCHW.shape[1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(images_NCHW), 1024):
            part = images_NCHW[start : start + 1024, channel]
            counts += np.bincount(part.ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        variance = float(counts @ (values - mean) ** 2 / counts.sum())
        means.append(mean)
        stds.append(max(variance**0.5, SMALLEST_STD))
    return means, stds
