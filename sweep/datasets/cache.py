"""The cache of decoded images: one copy on each node, decoded once, kept as memory maps.

`fingerprint` names the content without decoding it. `load` decodes it under a file lock into
`CACHE/FINGERPRINT/`: the files are written to a folder beside it, which is then renamed. The files
are mapped read-only, so that all processes on the node share the same pages. The cache may be
deleted at any time. `known` remembers the digest of image files, so that they are read once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from sweep.config.models import DataConfig
from sweep.config.study import digest
from sweep.core.errors import DataError
from sweep.core.plugins import Bound
from sweep.datasets import Dataset, bind, detect
from sweep.datasets.cluttered_digits import VERSION as CLUTTERED_VERSION
from sweep.datasets.first_reading.content import content
from sweep.datasets.image_files import ImageFiles
from sweep.datasets.images import Split, Splits
from sweep.datasets.known import Known, Memory, memory_of
from sweep.datasets.pixels.many import Progress, silent
from sweep.datasets.reading.report import of_arrays
from sweep.datasets.torchvision_sets import READERS, checksums

CACHE_VERSION = 1
"""Version of the cache folder's files and of the decoding: part of each fingerprint."""

NOT_CONTENT = {"path", "download", "reading"}
"""Fields of `DataConfig` that do not change the arrays."""

SPLITS = ("pretrain", "train", "validation", "test")
SMALLEST_STD = 1 / 255
COUNTED_PIXELS = 2**21
"""Pixels that are counted at once; numpy copies them to 8 bytes each."""

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
        report: how the images were read; see `sweep.datasets.reading.report`.
    """

    splits: Splits
    digest: str
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    shape: Shape
    report: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[DataConfig], Data]
"""`load`, or `glance` for a dry run."""


def cache_folder(cache: Path | None = None) -> Path:
    """Return the folder of decoded data: `cache`, `$SWEEP_CACHE`, or `~/.cache/sweep`."""
    return (cache or Path(os.environ.get("SWEEP_CACHE") or "~/.cache/sweep")).expanduser()


def fingerprint(config: DataConfig, *, cache: Path | None = None) -> str:
    """Return 32 hex digits that name the arrays, the same on every node, without decoding.

    Two configs with the same fingerprint have the same images in the same splits. For image files
    and tables it is a digest of the images' bytes, labels and splits, and of what is done to the
    images; a key at its default does not change it. For other sets it covers the fields of
    `config` that change the arrays, and the content: for torchvision's sets, the checksums that
    torchvision requires; for a plug-in, its name and the names, sizes and ends of the files at
    `path`. So if you change a plug-in's code, also change one of its keys.

    Args:
        config: which images.
        cache: folder that remembers digests; see `cache_folder`.

    Raises:
        ConfigError: no data set has that name.
        DataError: the path is missing, or holds no known data set.
    """
    bound = bind(config)
    reader = bound.make()
    if isinstance(reader, ImageFiles):
        memory = memory_of(config, bound, cache_folder(cache))
        known = memory.read()
        if known is None:
            known = Known(digest=reader.digest(config), report=None)
            memory.write(known)
        return known.digest
    common = config.model_dump(mode="json", include=set(DataConfig.model_fields) - NOT_CONTENT)
    fields = {**common, **bound.keys, "name": bound.name}
    return digest(
        {"layout": CACHE_VERSION, "config": fields, "content": _content(config, bound.name)}
    )


def load(config: DataConfig, *, cache: Path | None = None, progress: Progress = silent) -> Data:
    """Return the data; the first process on a node decodes it.

    Args:
        config: which images.
        cache: folder of decoded data; by default `$SWEEP_CACHE`, or `~/.cache/sweep`.
        progress: is called with the number of image files decoded, and of how many.

    Raises:
        ConfigError: no data set has that name.
        DataError: the data is missing, unreadable or too small, or the cache cannot be
            written.
    """
    root = cache_folder(cache)
    bound = bind(config)
    reader = bound.make()
    if isinstance(reader, ImageFiles):
        return _load_files(config, bound, reader, root, progress)
    name = fingerprint(config)
    if (data := _open(root / name)) is not None:
        return data
    with _locked(root, name):
        if _open(root / name) is None:
            _fill(_read(config, bound, reader), root, name)
    return _opened(root / name)


def glance(config: DataConfig, *, cache: Path | None = None) -> Data:
    """Return the data as `load` does if it is in the cache; else read no image file.

    The images are then noise of the right size, the digest is "", and the report says what was not
    read. Other sets than image files are loaded.

    Args:
        config: which images.
        cache: folder of decoded data; see `cache_folder`.

    Raises:
        ConfigError: no data set has that name.
        DataError: as `load`, as far as names, labels and headers tell.
    """
    root, bound = cache_folder(cache), bind(config)
    reader = bound.make()
    if not isinstance(reader, ImageFiles):
        return load(config, cache=cache)
    if (data := _remembered(memory_of(config, bound, root), root)) is not None:
        return data
    splits = reader.glance(root, config)
    shape = splits.pretrain.images.shape[1:]
    half = np.full(shape[0], 0.5, np.float32)
    return Data(
        splits=splits, digest="", mean=half, std=half, shape=shape, report=splits.report or {}
    )


def _load_files(
    config: DataConfig,
    bound: Bound[Dataset],
    reader: ImageFiles,
    root: Path,
    progress: Progress,
) -> Data:
    """Return the data of image files; they are read if they changed since they were read last."""
    memory = memory_of(config, bound, root)
    if (data := _remembered(memory, root)) is not None:
        return data
    with _locked(root, memory.file.stem):
        if (data := _remembered(memory, root)) is not None:
            return data
        with scratch(root, memory.file.stem) as folder, _writing(root):
            with bound.guarded():
                splits = _checked(reader.read_into(folder, config, progress), config)
            name, report = str(splits.digest), dict(splits.report or {})
            report["cache"] = {"digest": name}
            with _locked(root, name):
                if _open(root / name) is None:
                    _write(splits, root / name)
        memory.write(Known(digest=name, report=report))
    return replace(_opened(root / name), report=report)


@contextmanager
def scratch(root: Path, name: str) -> Iterator[Path]:
    """Make an empty folder in the cache for one reader, and remove it afterwards.

    The lock of the name is held, so that what a killed process left there can be removed.
    """
    folder = root / f"{name}.decoding"
    with _writing(root):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remembered(memory: Memory, root: Path) -> Data | None:
    """Return the data of files that have not changed since they were read, or None."""
    known = memory.read()
    if known is None or known.report is None:
        return None
    data = _open(root / known.digest)
    return None if data is None else replace(data, report=known.report)


def _read(config: DataConfig, bound: Bound[Dataset], reader: Dataset) -> Splits:
    with bound.guarded():
        splits = reader(config)
    return _checked(splits, config)


def _fill(splits: Splits, root: Path, name: str) -> None:
    with _writing(root):
        _write(splits, root / name)


def _opened(folder: Path) -> Data:
    data = _open(folder)
    if data is None:
        raise DataError(
            f"The cache {folder} was damaged while it was written. Delete it and retry."
        )
    return data


@contextmanager
def _locked(root: Path, name: str) -> Iterator[None]:
    """Hold the lock of a name: one process on the node reads or writes it."""
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{name}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


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
    return content(config, name)


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
    taken = None if splits.file is None else _take(splits.file, partial, splits.pretrain.images)
    index: dict[str, Any] = {
        "mean": mean,
        "std": std,
        "classes": list(splits.classes),
        "undecodable": list(splits.undecodable),
    }
    for name in SPLITS:
        split: Split = getattr(splits, name)
        index[name] = {
            "images": _save(split.images, partial, f"{name}-images", written)
            if taken is None
            else taken(split.images),
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
    whole = array.base if array.base is not None and id(array.base) in written else array
    if id(whole) in written and _is_prefix(array, whole):
        return {**written[id(whole)], "rows": len(array)}
    if id(array) not in written:
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        written[id(array)] = {"file": path.name, "bytes": path.stat().st_size}
    return written[id(array)]


def _take(
    file: Path, folder: Path, first: npt.NDArray[np.uint8]
) -> Callable[[npt.NDArray[np.uint8]], dict[str, Any]]:
    """Move the file of all images; return a function that makes the index entry of a slice.

    Args:
        file: `.npy`, whose rows the images are.
        folder: where it goes.
        first: a slice of it that begins with its first row.
    """
    moved = file.rename(folder / "images.npy")

    def entry(part: npt.NDArray[np.uint8]) -> dict[str, Any]:
        start = (part.ctypes.data - first.ctypes.data) // part.strides[0]
        size = moved.stat().st_size
        return {"file": moved.name, "bytes": size, "first": start, "rows": len(part)}

    return entry


def _is_prefix(array: npt.NDArray[Any], whole: npt.NDArray[Any]) -> bool:
    """Return whether an array is the first rows of another one, in the same memory."""
    return (
        array.ctypes.data == whole.ctypes.data
        and array.dtype == whole.dtype
        and array.strides == whole.strides
        and array.shape[1:] == whole.shape[1:]
    )


def _open(folder: Path) -> Data | None:
    """Map the arrays of a cache folder; None if it is missing, unfinished or damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        splits: dict[str, Any] = {name: _split(index[name], folder) for name in SPLITS}
        whole = Splits(
            **splits,
            classes=tuple(index["classes"]),
            undecodable=tuple(index["undecodable"]),
        )
        return Data(
            splits=whole,
            digest=folder.name,
            mean=np.array(index["mean"], np.float32),
            std=np.array(index["std"], np.float32),
            shape=splits["pretrain"].images.shape[1:],
            report={**of_arrays(whole), "cache": {"digest": folder.name}},
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
    first = entry.get("first", 0)
    return mapped[first : first + entry.get("rows", len(mapped))]


def _moments(images_NCHW: npt.NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel in 0..1, computed from histograms.

    The standard deviation is at least `SMALLEST_STD`.
    Equivalent to `(images / 255).mean((0, 2, 3))` and `.std((0, 2, 3))`.
    """
    values = np.arange(256) / 255
    step = max(1, COUNTED_PIXELS // max(1, images_NCHW[:1, 0].size))
    means, stds = [], []
    for channel in range(images_NCHW.shape[1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(images_NCHW), step):
            part = images_NCHW[start : start + step, channel]
            counts += np.bincount(part.ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        variance = float(counts @ (values - mean) ** 2 / counts.sum())
        means.append(mean)
        stds.append(max(variance**0.5, SMALLEST_STD))
    return means, stds
