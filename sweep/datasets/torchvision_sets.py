"""CIFAR-10, CIFAR-100 and STL-10 as torchvision reads them from disk, checksums and all."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._checks import existing_path, refuse_options
from sweep.datasets._decode import Images, resize
from sweep.datasets._rows import Indices, Labels, limited, split_rows
from sweep.datasets._torchvision_files import checked_files
from sweep.datasets.images import Split, Splits

READERS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "stl10": "STL10"}
"""Name of torchvision's class for each."""
FOLDERS = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "stl10": "stl10_binary",
}
"""Where torchvision puts each, below `data.path`."""


def reader(name: str) -> Any:
    """Return torchvision's class for a set."""
    from torchvision import datasets  # seconds, which a trial on a cached set is spared

    return getattr(datasets, READERS[name])


def checksums(config: DataConfig, name: str) -> list[list[str]]:
    """Return (file, MD5) of every file that torchvision accepts: the content, without a read.

    Raises:
        DataError: the files are not there, and are not to be downloaded.
    """
    root = _root(config, name)
    if not config.download and not (root / FOLDERS[name]).is_dir():
        raise _missing(config, name)
    return checked_files(reader(name))


def _cifar(config: DataConfig, name: str) -> Splits:
    """Read the 50,000 training and 10,000 test images, 3 x 32 x 32.

    Args:
        config: `path`, `download`, `size`, `limit`, and `validation`: drawn from train.
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


def stl10(config: DataConfig) -> Splits:
    """Read 5,000 training, 8,000 test and 100,000 unlabelled images, 3 x 96 x 96.

    Pretraining sees the unlabelled images and the train part of the labelled ones.

    Args:
        config: `path`, `download`, `size`, `limit` (for `pretrain` and for `train`), and
            `validation`: drawn from train.

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


cifar10 = partial(_cifar, name="cifar10")
cifar100 = partial(_cifar, name="cifar100")


def _splits(
    config: DataConfig,
    *,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    classes: tuple[str, ...],
    unlabelled: Images | None = None,
) -> Splits:
    """Draw the validation split, apply limit and size."""
    images, labels = train
    rows = split_rows(
        {"train": np.arange(len(labels)), "test": np.arange(len(test[1]))}, labels, config
    )
    part = limited(rows.train, config)
    kept = Split(images=_sized(images, part, config), labels=labels[part])
    return Splits(
        pretrain=Split(
            images=kept.images
            if unlabelled is None
            else _joined(images, rows.train, unlabelled, config)
        ),
        train=kept,
        validation=Split(
            images=_sized(images, rows.validation, config), labels=labels[rows.validation]
        ),
        test=Split(images=_sized(test[0], rows.test, config), labels=test[1]),
        classes=classes,
    )


def _joined(images: Images, train: Indices, unlabelled: Images, config: DataConfig) -> Images:
    """Return train images, then unlabelled ones, `config.limit` over both together."""
    rows = limited(np.arange(len(train) + len(unlabelled)), config)
    labelled = train[rows[rows < len(train)]]
    rest = rows[rows >= len(train)] - len(train)
    return np.concatenate([_sized(images, labelled, config), _sized(unlabelled, rest, config)])


def _sized(images: Images, rows: Indices, config: DataConfig) -> Images:
    picked = images[rows]
    return np.ascontiguousarray(picked if config.size is None else resize(picked, config.size))


def _nchw(images_NHWC: Images) -> Images:
    return images_NHWC.transpose(0, 3, 1, 2)


def _open(config: DataConfig, name: str, **split: Any) -> Any:
    """Return torchvision's data set; it checks each file's MD5, and downloads where told."""
    refuse_options(config, name)
    root = _root(config, name)
    try:
        return reader(name)(root, download=config.download, **split)
    except (RuntimeError, OSError) as error:
        raise _missing(config, name, str(error)) from error


def _root(config: DataConfig, name: str) -> Path:
    """Return the folder that holds torchvision's, `config.path` or its parent."""
    if config.download and config.path is not None:
        path = Path(config.path).expanduser()
    else:
        path = existing_path(config)
    return path.parent if path.name == FOLDERS[name] else path


def _missing(config: DataConfig, name: str, reason: str = "") -> DataError:
    why = f" ({reason.rstrip('.')})" if reason else ""
    return DataError(
        f"data.path={config.path} does not hold {name} as torchvision keeps it, in "
        f"{FOLDERS[name]}/, whole{why}. Give the folder that does, or type data.download=true."
    )
