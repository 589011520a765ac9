"""CIFAR-10, CIFAR-100 and STL-10, read from disk by torchvision, which checks each file's MD5."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._checks import existing_path
from sweep.datasets._resize import Images, resize
from sweep.datasets._rows import Indices, Labels, limited, split_rows
from sweep.datasets._torchvision_files import checked_files
from sweep.datasets.images import Split, Splits

READERS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "stl10": "STL10"}
"""Name of the data set -> name of torchvision's class."""
FOLDERS = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "stl10": "stl10_binary",
}
"""Name of the data set -> folder below `data.path` in which torchvision keeps its files."""


def reader(name: str) -> Any:
    """Return torchvision's class for a data set of `READERS`."""
    from torchvision import datasets  # takes seconds; a trial with cached data skips it

    return getattr(datasets, READERS[name])


def checksums(config: DataConfig, name: str) -> list[list[str]]:
    """Return (file, MD5) of every file that torchvision accepts.

    They identify the content although no file is read.

    Raises:
        DataError: the folder is missing, and `config.download` is false.
    """
    root = _root(config, name)
    if not config.download and not (root / FOLDERS[name]).is_dir():
        raise _missing(config, name)
    return checked_files(reader(name))


def _cifar(config: DataConfig, name: str) -> Splits:
    """Read the 50,000 training and 10,000 test images, 3 x 32 x 32.

    Args:
        config: `path`, `download`, `size` in pixels, `limit`; `validation`, the share of the
            training images that is drawn for validation.
        name: `cifar10` or `cifar100`.

    Raises:
        DataError: the files are missing or damaged.
    """
    train = _open(config, name, train=True)
    test = _open(config, name, train=False)
    return _splits(
        config,
        train=(_nchw(train.data), np.asarray(train.targets, np.int64)),
        test=(_nchw(test.data), np.asarray(test.targets, np.int64)),
        classes=tuple(train.classes),
    )


def _stl10(config: DataConfig) -> Splits:
    """Read 5,000 training, 8,000 test and 100,000 unlabelled images, 3 x 96 x 96.

    Pretraining uses the unlabelled images and the labelled images of the train split.

    Args:
        config: `path`, `download`, `size` in pixels; `limit`, of `pretrain` and of `train` each;
            `validation`, the share of the training images that is drawn for validation.

    Raises:
        DataError: the files are missing or damaged.
    """
    train = _open(config, "stl10", split="train")
    test = _open(config, "stl10", split="test")
    unlabelled = _open(config, "stl10", split="unlabeled")
    return _splits(
        config,
        train=(train.data, train.labels.astype(np.int64)),
        test=(test.data, test.labels.astype(np.int64)),
        classes=tuple(train.classes),
        unlabelled=unlabelled.data,
    )


def cifar10() -> Callable[[DataConfig], Splits]:
    """Return what reads CIFAR-10; it has no keys."""
    return partial(_cifar, name="cifar10")


def cifar100() -> Callable[[DataConfig], Splits]:
    """Return what reads CIFAR-100; it has no keys."""
    return partial(_cifar, name="cifar100")


def stl10() -> Callable[[DataConfig], Splits]:
    """Return what reads STL-10; it has no keys."""
    return _stl10


def _splits(
    config: DataConfig,
    *,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    classes: tuple[str, ...],
    unlabelled: Images | None = None,
) -> Splits:
    """Draw the validation split; apply `config.limit` and `config.size`."""
    images, labels = train
    rows = split_rows(
        {"train": np.arange(len(labels)), "test": np.arange(len(test[1]))}, labels, config
    )
    part = limited(rows.train, config)
    train_split = Split(images=_sized(images, part, config), labels=labels[part])
    return Splits(
        pretrain=Split(
            images=train_split.images
            if unlabelled is None
            else _joined(images, rows.train, unlabelled, config)
        ),
        train=train_split,
        validation=Split(
            images=_sized(images, rows.validation, config), labels=labels[rows.validation]
        ),
        test=Split(images=_sized(test[0], rows.test, config), labels=test[1]),
        classes=classes,
    )


def _joined(images: Images, train: Indices, unlabelled: Images, config: DataConfig) -> Images:
    """Return `config.limit` images, drawn from the train and the unlabelled images together.

    The train images come first.
    """
    rows = limited(np.arange(len(train) + len(unlabelled)), config)
    labelled = train[rows[rows < len(train)]]
    others = rows[rows >= len(train)] - len(train)
    return np.concatenate([_sized(images, labelled, config), _sized(unlabelled, others, config)])


def _sized(images: Images, rows: Indices, config: DataConfig) -> Images:
    chosen = images[rows]
    return np.ascontiguousarray(chosen if config.size is None else resize(chosen, config.size))


def _nchw(images_NHWC: Images) -> Images:
    return images_NHWC.transpose(0, 3, 1, 2)


def _open(config: DataConfig, name: str, **split: Any) -> Any:
    """Return torchvision's data set; download it if `config.download` is true."""
    root = _root(config, name)
    try:
        return reader(name)(root, download=config.download, **split)
    except (RuntimeError, OSError) as error:
        raise _missing(config, name, str(error)) from error


def _root(config: DataConfig, name: str) -> Path:
    """Return the folder that holds torchvision's folder: `config.path` or its parent."""
    if config.download and config.path is not None:
        path = Path(config.path).expanduser()
    else:
        path = existing_path(config)
    return path.parent if path.name == FOLDERS[name] else path


def _missing(config: DataConfig, name: str, reason: str = "") -> DataError:
    why = f" ({reason.rstrip('.')})" if reason else ""
    return DataError(
        f"data.path={config.path} does not hold {name} as torchvision keeps it: all its files in "
        f"{FOLDERS[name]}/{why}. Give the folder that holds them, or type data.download=true."
    )
