"""Which row of a data set goes into which split: arithmetic on indices, no images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import numpy as np
import numpy.typing as npt

from sweep.config.models import DataConfig
from sweep.core.errors import DataError

Name = Literal["train", "validation", "test"]
Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]

_NAMES: dict[str, Name] = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Row numbers of each split: ascending, without overlap, none empty."""

    train: Indices
    validation: Indices
    test: Indices


def split_name(path: PurePath) -> Name | None:
    """Read a split off a relative path, the file's name first: `data/val-0.parquet`.

    Equivalent to asking whether a part of it starts with `train`, `val` (`valid`,
    `validation`) or `test`, and does not go on as another word.
    """
    for part in reversed(path.parts):
        found = re.match(r"(train|val|test)(ing|id|idation)?(?![a-z])", part.lower())
        if found:
            return _NAMES[found.group(1)]
    return None


def split_rows(given: Mapping[Name, Indices], labels: Labels | None, config: DataConfig) -> Rows:
    """Complete the splits that the data brings.

    Test and then validation are drawn from the training rows with `config.seed`, each
    class in proportion, where the data lacks them. `config.limit` is the caller's: `limited`.

    Args:
        given: row numbers by split, as the data names them.
        labels: [N] over all rows, or None.
        config: its `test`, `validation` and `seed` decide.

    Raises:
        DataError: a split would be empty.
    """
    rng = np.random.default_rng([config.seed, 0x5B117])
    pool = given.get("train", np.empty(0, np.int64))
    whole = len(pool)
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
                f"The {name} split would be empty: there are {whole} training images, with "
                f"data.test={config.test:g} and data.validation={config.validation:g}. "
                "Give more images or larger shares."
            )
    return Rows(train=pool, validation=splits["validation"], test=splits["test"])


def limited(rows: Indices, config: DataConfig) -> Indices:
    """Return at most `config.limit` of the rows, drawn with `config.seed`, ascending."""
    if config.limit is None or config.limit >= len(rows):
        return rows
    rng = np.random.default_rng([config.seed, 0x11417])
    return np.sort(rng.choice(rows, config.limit, replace=False))


def _take(
    pool: Indices, share: float, labels: Labels | None, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw a share of the pool, each class in proportion; return what was drawn and the rest.

    Ordered by rank within the class over its size, ties broken at random, the first rows
    hold every class in proportion to within one: systematic sampling, exact in total.
    """
    shuffled = rng.permutation(pool)
    keys = np.arange(len(pool), dtype=np.float64)
    if labels is not None:
        classes = labels[shuffled]
        for label in np.unique(classes):
            (members,) = np.nonzero(classes == label)
            keys[members] = (np.arange(len(members)) + rng.random()) / len(members)
    drawn = shuffled[np.argsort(keys, kind="stable")]
    count = round(share * len(pool))
    return np.sort(drawn[:count]), np.sort(drawn[count:])
