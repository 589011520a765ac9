"""The accuracy of a probe that is fitted to few labels, averaged over draws of the labelled images.

Each draw takes the same share, or the same number of images, of each class. The validation split
stays whole, as in the protocols of SimCLR (Chen 2020, section 7) and DINO.
Shapes: N images, K classes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from sweep.probes.labelled import Fitted, Labelled

PER_CLASS = "/class"

Value = tuple[float, float, float]
"""The mean over draws, and the ends of Student's 95 % interval of the mean."""


def accuracies(
    probe: Callable[[Labelled, Labelled], Fitted],
    train: Labelled,
    validation: Labelled,
    few: Sequence[float | str],
    *,
    seeds: int,
    seed: int,
) -> dict[str, Value]:
    """Return the accuracy at each number of labels.

    Args:
        probe: fits and scores.
        train: the labelled images from which are drawn.
        validation: the images on which each accuracy is measured.
        few: shares of the training images, or texts such as `5/class`.
        seeds: draws of each.
        seed: of the data.

    Returns:
        The number as text -> its accuracy. A number is left out if a draw gives features that no
        probe can use.
    """
    labels = train.labels_N.cpu().numpy()
    found: dict[str, Value] = {}
    for number in few:
        name = number if isinstance(number, str) else f"{number:g}"
        values = []
        for draw in range(seeds):
            rows = _drawn(labels, number, np.random.default_rng([seed, draw, 0xFE3]))
            at = torch.from_numpy(rows).to(train.labels_N.device)
            part = Labelled(features_ND=train.features_ND[at], labels_N=train.labels_N[at])
            values.append(probe(part, validation).measure.value)
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            found[name] = _mean(known)
    return found


def _drawn(
    labels: npt.NDArray[np.int64], number: float | str, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return rows of each class, at least one and at most all of them."""
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        wanted = (
            int(number.removesuffix(PER_CLASS))
            if isinstance(number, str)
            else round(number * len(rows))
        )
        chosen.append(rng.permutation(rows)[: min(max(1, wanted), len(rows))])
    return np.sort(np.concatenate(chosen))


def _mean(values: Sequence[float]) -> Value:
    """Return the mean and its interval; the value itself for one draw."""
    from scipy.stats import t  # half a second to import

    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, mean, mean
    error = statistics.stdev(values) / math.sqrt(len(values))
    width = float(t.ppf(0.975, len(values) - 1)) * error
    return mean, max(0.0, mean - width), min(1.0, mean + width)
