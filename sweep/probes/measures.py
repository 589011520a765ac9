"""Measures of a classifier beside its accuracy, for sets whose classes are of unequal size.

Intervals are 95 % percentile intervals of a bootstrap over images (Efron 1979). It draws the cells
of the confusion matrix again, which is the same as to draw the images.
Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sweep.core.outcome import wilson

DRAWS = 200
"""Bootstrap samples. The ends of an interval then vary by about a tenth of its width."""
TOP = 5

Counts = npt.NDArray[np.int64]
Value = tuple[float, float, float]
"""A measure with the low and the high end of its interval."""


def further(
    predicted_N: Tensor,
    labels_N: Tensor,
    *,
    classes: Sequence[str],
    top_N5: Tensor | None = None,
) -> dict[str, Any]:
    """Return what a table holds beside the accuracy.

    `balanced_accuracy` is the mean recall of the classes that the images have, as in scikit-learn's
    `balanced_accuracy_score`. `macro_f1` is the mean F1 of the classes that are there or are
    predicted, as in `f1_score(average="macro")`. `top5_accuracy` is given for more than five
    classes.

    Args:
        predicted_N: int64 [N].
        labels_N: int64 [N], on the same device.
        classes: names of the labels 0, 1, ...; further labels are named by their number.
        top_N5: the five most likely labels, int64 [N, 5], if the probe tells them.

    Returns:
        `interval` of the accuracy, `further` (measure -> value, low, high), `chance` (the share of
        the largest class), and `class_recall` (class -> recall).
    """
    labels = labels_N.cpu().numpy()
    cells, counts = np.unique(
        np.stack([labels, predicted_N.cpu().numpy()]), axis=1, return_counts=True
    )
    known = np.unique(cells)
    true, guess = np.searchsorted(known, cells)
    images = int(counts.sum())

    def both(drawn: Counts) -> tuple[float, float]:
        return _balanced_and_f1(true, guess, drawn, len(known))

    draws = np.random.default_rng(0)
    samples = np.array(
        [both(draws.multinomial(images, counts / images)) for _ in range(DRAWS)]
    )  # [DRAWS, 2]
    low, high = np.quantile(samples, (0.025, 0.975), axis=0)
    values = {
        name: (value, float(low[at]), float(high[at]))
        for at, (name, value) in enumerate(
            zip(("balanced_accuracy", "macro_f1"), both(counts), strict=True)
        )
    }
    if top_N5 is not None and top_N5.shape[1] == TOP:
        share = float((top_N5 == labels_N[:, None]).any(1).double().mean())
        values["top5_accuracy"] = (share, *wilson(share, images))
    right = counts[true == guess].sum() / images
    each_K = np.bincount(true, counts, len(known))
    right_K = np.bincount(true, counts * (true == guess), len(known))
    return {
        "interval": list(wilson(float(right), images)),
        "further": {name: list(value) for name, value in values.items()},
        "chance": float(each_K.max() / images),
        "class_recall": {
            classes[label] if label < len(classes) else str(label): float(right_K[k] / each_K[k])
            for k, label in enumerate(known)
            if each_K[k]
        },
    }


def top(scores_NK: Tensor, classes_K: Tensor) -> Tensor | None:
    """Return the five most likely labels, int64 [N, 5]; None if there are five classes or fewer."""
    if len(classes_K) <= TOP:
        return None
    return classes_K[scores_NK.topk(TOP, dim=1).indices]


def _balanced_and_f1(
    true: npt.NDArray[np.intp], guess: npt.NDArray[np.intp], counts: Counts, classes: int
) -> tuple[float, float]:
    """Return balanced accuracy and macro F1 of the cells of a confusion matrix."""
    right_K = np.bincount(true, counts * (true == guess), classes)
    true_K, guess_K = np.bincount(true, counts, classes), np.bincount(guess, counts, classes)
    there, seen = true_K > 0, true_K + guess_K > 0
    recall = right_K[there] / true_K[there]
    f1 = 2 * right_K[seen] / (true_K + guess_K)[seen]
    return float(recall.mean()), float(f1.mean())
