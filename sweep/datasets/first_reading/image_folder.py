"""A folder of image files, one folder for each class: the layout of torchvision's ImageFolder.

`ROOT/CLASS/NAME.png`, or `ROOT/train/CLASS/NAME.png` with `val` and `test` beside `train`. A
class folder may contain folders. Images that are in no class folder have no labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

import numpy as np

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._checks import existing_path
from sweep.datasets._rows import Indices, Labels, Name, split_rows
from sweep.datasets.first_reading.assemble import Source, assemble
from sweep.datasets.first_reading.decode import Encoded
from sweep.datasets.first_reading.files import IMAGE_SUFFIXES, walk
from sweep.datasets.first_reading.split_name import split_name
from sweep.datasets.images import Splits


def image_folder() -> Callable[[DataConfig], Splits]:
    """Return what reads the images in folders; it has no keys."""
    return _read_folder


def _read_folder(config: DataConfig) -> Splits:
    """Read image files from `config.path`.

    Args:
        config: `path`, `size` in pixels, `limit`; `validation` and `test`, shares of the training
            images, if there is no folder for these splits.

    Raises:
        DataError: the path holds no images, or they differ in size and `config.size` is None.
    """
    root = existing_path(config)
    files = sorted(walk(root, IMAGE_SUFFIXES))
    if not files:
        raise DataError(
            f"data.path={config.path} holds no images; looked for {' '.join(IMAGE_SUFFIXES)}. "
            "Give a folder that holds one folder for each class."
        )
    base = root if root.is_dir() else root.parent
    relative = [path.relative_to(base) for path in files]
    names, folders = _layout(relative)
    labels, classes = _labels(folders, config)

    def read(rows: Indices) -> Iterator[tuple[str, Encoded]]:
        return ((str(relative[row]), files[row]) for row in rows)

    given: dict[Name, Indices] = {
        name: np.array([row for row, other in enumerate(names) if other == name])
        for name in dict.fromkeys(names)
    }
    rows = split_rows(given, labels, config)
    return assemble(Source(read=read, labels=labels, classes=classes), rows, config)


def _layout(relative: Sequence[PurePath]) -> tuple[list[Name], list[str]]:
    """Return the split and the class folder of each file; "" for a file in no class folder.

    The top folders are splits only if all their names are names of splits and one of them is
    `train`. Otherwise they are classes, and every file belongs to the train split.
    """
    tops = {path.parts[0] for path in relative if len(path.parts) > 1}
    splits: dict[str, Name | None] = {top: split_name(PurePath(top)) for top in tops}
    if "train" not in splits.values() or None in splits.values():
        return ["train"] * len(relative), [_folder(path.parts) for path in relative]
    names: list[Name] = [splits.get(path.parts[0]) or "train" for path in relative]
    return names, [_folder(path.parts[1:]) for path in relative]


def _folder(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) > 1 else ""


def _labels(folders: list[str], config: DataConfig) -> tuple[Labels | None, tuple[str, ...]]:
    """Number the class folders in the order of their names; a single folder gives no labels."""
    unsorted = folders.count("")
    if 0 < unsorted < len(folders):
        raise DataError(
            f"data.path={config.path} holds class folders and {unsorted} images beside them. "
            "Move these images into a class folder, or move all images into one folder."
        )
    classes, labels = np.unique(folders, return_inverse=True)
    if len(classes) < 2:
        return None, ()
    return labels.astype(np.int64), tuple(classes.tolist())
