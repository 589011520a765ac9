"""Decode the rows of each split into `Splits`: shared by image folders and Parquet tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._rows import Indices, Labels, Rows, limited
from sweep.datasets.first_reading.decode import Encoded, decode, mixed_sizes
from sweep.datasets.images import Split, Splits


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Compressed images that can be read by row number.

    Args:
        read: takes ascending row numbers, returns (name, compressed image) of each, in that order.
        labels: class numbers from 0, [N]; below 0 for an image without a label. None if the data
            has no labels.
        classes: name of each class, in the order of their numbers.
    """

    read: Callable[[Indices], Iterable[tuple[str, Encoded]]]
    labels: Labels | None
    classes: tuple[str, ...] = field(default=())


def assemble(source: Source, rows: Rows, config: DataConfig) -> Splits:
    """Decode the rows of each split. Rows beyond `config.limit` are dropped before decoding.

    Raises:
        DataError: images differ in size and `config.size` is None; more than 1 % of a split
            cannot be decoded; or only some images of a split have labels.
    """
    parts: list[Split] = []
    undecodable: list[str] = []
    for part in (limited(rows.train, config), rows.validation, rows.test):
        decoded = decode(source.read(part), len(part), config.size)
        labels = None if source.labels is None else _complete(source.labels[part[decoded.kept]])
        parts.append(Split(images=decoded.images, labels=labels))
        undecodable.extend(decoded.undecodable)
        if parts[0].images.shape[1:] != decoded.images.shape[1:]:
            raise mixed_sizes(split.images.shape[2:] for split in parts)
    train, validation, test = parts
    return Splits(
        pretrain=Split(images=train.images),
        train=train,
        validation=validation,
        test=test,
        classes=source.classes,
        undecodable=tuple(undecodable),
    )


def _complete(labels: Labels) -> Labels | None:
    """Return the labels of a split, or None if no image of it has a label; refuse a mixture."""
    missing = int((labels < 0).sum())
    if missing == len(labels):
        return None
    if missing:
        raise DataError(
            f"{missing} of {len(labels)} images in one split have no label (null or below 0). "
            "Label every image of the split, or leave the images without a label out."
        )
    return np.ascontiguousarray(labels)
