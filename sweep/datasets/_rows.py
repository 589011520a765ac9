"""Split the row numbers of a data set. This file works on row numbers only, not on images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sweep.config.models import DataConfig
from sweep.core.errors import DataError

Name = Literal["train", "validation", "test"]
Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Row numbers of each split: ascending, without overlap, and never empty."""

    train: Indices
    validation: Indices
    test: Indices


def split_rows(given: Mapping[Name, Indices], labels: Labels | None, config: DataConfig) -> Rows:
    """Return row numbers of all three splits; those that the data does not have are drawn.

    First test and then validation are drawn from the training rows with `config.seed`, in equal
    shares of each class. `config.limit` is not applied here; the caller applies it by `limited`.

    Args:
        given: row numbers of the splits that the data has.
        labels: class numbers of all rows, [N], or None.
        config: its `test` and `validation` are shares of the training rows; `seed` draws.

    Raises:
        DataError: a split would be empty.
    """
    rng = np.random.default_rng([config.seed, 0x5B117])
    pool = given.get("train", np.empty(0, np.int64))
    available = len(pool)
    splits: dict[Name, Indices] = dict(given)
    shares: tuple[tuple[Name, float], ...] = (
        ("test", config.test),
        ("validation", config.validation),
    )
    for name, share in shares:
        if name not in given:
            splits[name], pool = _take(pool, share, labels, rng)
    splits["train"] = pool
    for name, rows in splits.items():
        if not len(rows):
            raise DataError(
                f"The {name} split would be empty: there are {available} training images, with "
                f"data.test={config.test:g} and data.validation={config.validation:g}. "
                "Give more images or larger shares."
            )
    return Rows(train=pool, validation=splits["validation"], test=splits["test"])


def limited(rows: Indices, config: DataConfig) -> Indices:
    """Return `config.limit` of the rows, drawn with `config.seed`, ascending; all if it is None."""
    if config.limit is None or config.limit >= len(rows):
        return rows
    rng = np.random.default_rng([config.seed, 0x11417])
    return np.sort(rng.choice(rows, config.limit, replace=False))


def _take(
    pool: Indices, share: float, labels: Labels | None, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw a share of the pool, equal shares of each class; return the drawn rows and the rest.

    This is systematic sampling: each row's key is its random rank within its class, divided by
    the size of the class. The rows with the smallest keys hold every class in proportion, to
    within one row, and their total number is exact.
    """
    shuffled = rng.permutation(pool)
    keys = np.arange(len(pool), dtype=np.float64)
    if labels is not None:
        classes = labels[shuffled]
        for label in np.unique(classes):
            (members,) = np.nonzero(classes == label)
            keys[members] = (np.arange(len(members)) + rng.random()) / len(members)
    ordered = shuffled[np.argsort(keys, kind="stable")]
    count = round(share * len(pool))
    return np.sort(ordered[:count]), np.sort(ordered[count:])
