"""From row numbers and compressed images to `Splits`: what image files and tables share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._decode import Encoded, decode, mixed_sizes
from sweep.datasets._rows import Indices, Labels, Rows, limited
from sweep.datasets.images import Split, Splits


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Compressed images that can be read by row number.

    Args:
        read: ascending row numbers -> (name, compressed image) of each, in that order.
        labels: [N] from 0, below 0 where an image has none; None where there are no labels.
        classes: names of the labels.
    """

    read: Callable[[Indices], Iterable[tuple[str, Encoded]]]
    labels: Labels | None
    classes: tuple[str, ...] = field(default=())


def assemble(source: Source, rows: Rows, config: DataConfig) -> Splits:
    """Decode the rows of each split, `config.limit` applied before anything is decoded.

    Raises:
        DataError: sizes differ without `config.size`; more than 1 % of a split cannot be
            decoded; a split is labelled in part.
    """
    parts: list[Split] = []
    undecodable: list[str] = []
    for part in (limited(rows.train, config), rows.validation, rows.test):
        decoded = decode(source.read(part), len(part), config.size)
        labels = None if source.labels is None else _whole(source.labels[part[decoded.kept]])
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


def _whole(labels: Labels) -> Labels | None:
    """Return the labels of a split, or None where it has none at all."""
    missing = int((labels < 0).sum())
    if missing == len(labels):
        return None
    if missing:
        raise DataError(
            f"{missing} of {len(labels)} images in one split have no label (null or below 0). "
            "Label all of a split or none: leave the others out."
        )
    return np.ascontiguousarray(labels)
