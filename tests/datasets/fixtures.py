"""Small data sets on disk, in the formats that the members of `DATASETS` read."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torchvision import datasets

from sweep.config.models import DataConfig
from sweep.datasets.cluttered_digits import cluttered_digits

NAMES = ("cat", "dog", "eel")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def configure(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> DataConfig:
    """Return a small config of a member of `DATASETS`; write its files if it reads files."""
    if name == "digits":
        return DataConfig(name=name)
    if name == "cluttered_digits":
        constants = cluttered_digits.__globals__  # of its module, which has the same name
        for constant, count in (("TRAIN", 300), ("VALIDATION", 100), ("TEST", 100)):
            monkeypatch.setitem(constants, constant, count)
        return DataConfig(name=name)
    if name == "imagefolder":
        write_image_folder(root)
    elif name == "parquet":
        write_shards(root)
    elif name == "stl10":
        write_stl10(root, monkeypatch)
    else:
        reader = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
        write_cifar(root, reader, monkeypatch, per_file=300 if name == "cifar100" else 30)
    return DataConfig(name=name, path=str(root))


def pictures(count: int, seed: int = 0, side: int = 12) -> npt.NDArray[np.uint8]:
    """Return images of noise, uint8 [count, side, side, 3]; all differ."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """Return the image [H, W, 3] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(
    path: Path,
    encoded: Sequence[bytes | None],
    labels: Sequence[int | None] | None,
    names: Sequence[str] = NAMES,
) -> None:
    """Write a table as Hugging Face's `datasets` does, in row groups of 8."""
    images = [{"bytes": image, "path": f"{index}.png"} for index, image in enumerate(encoded)]
    columns: dict[str, Any] = {"image": pa.array(images, IMAGE)}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
        features["label"] = {"_type": "ClassLabel", "names": list(names)}
    table = pa.table(columns).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=8)


def write_shards(root: Path, count: int = 60) -> Path:
    """Write `data/train-*` in two shards and `data/test-*`."""
    for number in range(2):
        write_parquet(
            root / f"data/train-{number:05d}-of-00002.parquet",
            [png(picture) for picture in pictures(count // 2, seed=number)],
            [index % 3 for index in range(count // 2)],
        )
    write_parquet(
        root / "data/test-00000-of-00001.parquet",
        [png(picture) for picture in pictures(12, seed=2)],
        [index % 3 for index in range(12)],
    )
    return root


def write_image_folder(root: Path, per_class: int = 20) -> Path:
    """Write `train/CLASS/*.png` and `test/CLASS/*.png`."""
    for seed, (split, count) in enumerate((("train", per_class), ("test", 4))):
        for number, name in enumerate(NAMES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index, picture in enumerate(pictures(count, seed=10 * seed + number)):
                (folder / f"{index:03d}.png").write_bytes(png(picture))
    return root


def write_cifar(
    root: Path, reader: Any, monkeypatch: pytest.MonkeyPatch, per_file: int = 30
) -> Path:
    """Write the pickles of CIFAR-10 or CIFAR-100, and give torchvision their checksums."""
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    fine = reader is datasets.CIFAR100
    classes = [f"class{index}" for index in range(100 if fine else 10)]
    for attribute in ("train_list", "test_list"):
        sums = []
        for number, (name, _) in enumerate(getattr(reader, attribute)):
            seed = number if attribute == "train_list" else 99
            data = pictures(per_file, seed, side=32).transpose(0, 3, 1, 2).reshape(per_file, -1)
            key = "fine_labels" if fine else "labels"
            labels = [index % len(classes) for index in range(per_file)]
            sums.append([name, _dump({"data": data, key: labels}, folder / name)])
        monkeypatch.setattr(reader, attribute, sums)
    meta = dict(reader.meta)
    meta["md5"] = _dump({meta["key"]: classes}, folder / meta["filename"])
    monkeypatch.setattr(reader, "meta", meta)
    return root


def write_stl10(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the binary files of STL-10, and give torchvision their checksums."""
    reader = datasets.STL10
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    counts = {"train": 40, "test": 20, "unlabeled": 60}
    for attribute in ("train_list", "test_list"):
        sums = []
        for name, _ in getattr(reader, attribute):
            split, kind = name.removesuffix(".bin").split("_")
            seed, count = len(split), counts[split]
            if kind == "X":
                payload = pictures(count, seed, side=96).transpose(0, 3, 2, 1).tobytes()
            else:
                payload = (np.arange(count) % 10 + 1).astype(np.uint8).tobytes()
            (folder / name).write_bytes(payload)
            sums.append([name, _md5(folder / name)])
        monkeypatch.setattr(reader, attribute, sums)
    (folder / "class_names.txt").write_text("\n".join(f"class{index}" for index in range(10)))
    return root


def _dump(value: Any, path: Path) -> str:
    path.write_bytes(pickle.dumps(value))
    return _md5(path)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
