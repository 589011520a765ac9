"""The labelled images that a probe may use if the study has a budget of labels.

They are drawn once, from the splits `train` and `validation` in proportion to their sizes, and
from each class of a split in proportion to its images. The same seed draws the same images in
every trial, so all models of a study are compared on the same labels.
Shapes: N images of a split, K classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sweep.core.errors import ConfigError, DataError
from sweep.datasets.images import Split, Splits

FEWEST_PER_CLASS = 10
"""Labelled images for each class, on average, below which no probe is fitted: an own choice."""

Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]


def with_labels(splits: Splits, count: int | None, *, seed: int) -> tuple[Split, Split]:
    """Return the images on which a probe is fitted and selected.

    Args:
        splits: of the probe's data; `train` and `validation` have labels.
        count: labelled images in both parts together; None is all.
        seed: of the draw.

    Returns:
        A part of the split `train`, and a part of the split `validation`.

    Raises:
        ConfigError: fewer than `FEWEST_PER_CLASS` images a class.
        DataError: there are fewer labelled images.
    """
    if count is None:
        return splits.train, splits.validation
    parts = [np.asarray(splits.train.labels), np.asarray(splits.validation.labels)]
    sizes = [len(labels) for labels in parts]
    classes = [len(np.unique(labels)) for labels in parts]
    _check(count, sum(sizes), len(np.unique(np.concatenate(parts))))
    share = round(count * sizes[1] / sum(sizes))
    # At least one image of each class in either part, and no more than the part has.
    validation = min(max(share, classes[1], count - sizes[0]), count - classes[0], sizes[1])
    rng = np.random.default_rng([seed, 0x1ABE])
    train = _part(splits.train, _stratified(parts[0], count - validation, rng))
    return train, _part(splits.validation, _stratified(parts[1], validation, rng))


def _check(count: int, labelled: int, classes: int) -> None:
    if count < FEWEST_PER_CLASS * classes:
        raise ConfigError(
            f"budget.labels is {count}, and there are {classes} classes: a probe needs at least "
            f"{FEWEST_PER_CLASS} labelled images for each class. Set budget.labels to "
            f"{FEWEST_PER_CLASS * classes} or more."
        )
    if count > labelled:
        raise DataError(
            f"budget.labels is {count}, and there are {labelled} labelled images to fit and select "
            f"the probe. Set budget.labels to {labelled} or less, or take it out to use all of "
            "them."
        )


def _stratified(labels_N: Labels, count: int, rng: np.random.Generator) -> Rows:
    """Return `count` rows in order, of each class its share, and at least one of each class."""
    _, class_N, size_K = np.unique(labels_N, return_inverse=True, return_counts=True)
    exact_K = count * size_K / size_K.sum()
    take_K = np.maximum(1, np.floor(exact_K)).astype(np.int64)
    while take_K.sum() > count:
        take_K[np.argmax(take_K)] -= 1
    while take_K.sum() < count:
        take_K[np.argmax(np.where(take_K < size_K, exact_K - take_K, -np.inf))] += 1
    rows = [rng.permutation(np.flatnonzero(class_N == k))[:take] for k, take in enumerate(take_K)]
    return np.sort(np.concatenate(rows))


def _part(split: Split, rows: Rows) -> Split:
    labels = np.asarray(split.labels)[rows]
    factors = {name: np.asarray(values)[rows] for name, values in split.factors.items()}
    return Split(images=split.images[rows], labels=labels, factors=factors)
