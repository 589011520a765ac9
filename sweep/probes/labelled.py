"""What every probe takes and returns, and what probes share.

The members of this seam import this file; it imports none of them. Shapes: N images, D dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sweep.core.records import Measure, MeasureStatus

MAX_FEATURE = 1e16
"""Largest absolute value of a feature: the sum of a million such squares still fits in float32."""
ROUNDING = 1e-6
"""A float32 column is constant if its standard deviation is below this share of its mean."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Labelled:
    """Features with their labels, on one device.

    Args:
        features_ND: float32 [N, D], N at least 1.
        labels_N: int64 [N].
    """

    features_ND: Tensor
    labels_N: Tensor

    def __post_init__(self) -> None:
        h, y = self.features_ND, self.labels_N
        if h.ndim != 2 or 0 in h.shape or h.dtype != torch.float32:
            raise ValueError(
                f"features are {h.dtype} {list(h.shape)}, but must be float32 [N, D] with N and "
                "D at least 1; use .float() and one row for each image."
            )
        if y.shape != h.shape[:1] or y.dtype != torch.int64:
            raise ValueError(
                f"labels are {y.dtype} {list(y.shape)}, but must be int64 [{len(h)}], one for "
                "each row of the features; use .long()."
            )

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """A probe that was fitted to the training part.

    Args:
        measure: named `accuracy`: the share of the validation part that is predicted correctly,
            0 to 1.
        predict: features float32 [N, D] -> labels int64 [N], on the device of the training part.
        top: features float32 [N, D] -> the five most likely labels, int64 [N, 5]; None if there are
            five classes or fewer. A probe need not have it.
    """

    measure: Measure
    predict: Callable[[Tensor], Tensor]
    top: Callable[[Tensor], Tensor | None] | None = None


def accuracy(predicted_N: Tensor, labels_N: Tensor) -> float:
    """Return the share of labels that are predicted correctly, 0 to 1."""
    return float((predicted_N == labels_N).double().mean())


def measured(share: float, images: int, detail: Mapping[str, Any]) -> Measure:
    """Return the measure of an accuracy on `images` images, with its binomial standard error."""
    error = math.sqrt(share * (1 - share) / images)
    return Measure(
        name="accuracy",
        value=share,
        detail={"images": images, "standard_error": error, **detail},
    )


def unusable(train: Labelled, validation: Labelled) -> Fitted | None:
    """Return the failed result for features that no probe can use; None if they can be used.

    The `predict` of a failed result always returns the most frequent label.
    """
    for part in (train, validation):
        # `not <=` instead of `>`, because a comparison with NaN is false.
        if not part.features_ND.abs().max() <= MAX_FEATURE:
            return _failed(train, "nonfinite", f"a feature is NaN or beyond {MAX_FEATURE:g}")
    std_D, mean_D = torch.std_mean(train.features_ND, 0, correction=0)
    if constant(std_D, mean_D).all():
        return _failed(train, "degenerate", "all features are constant")
    return None


def constant(std_D: Tensor, mean_D: Tensor) -> Tensor:
    """Return bool [D]: true for columns that vary only by the rounding of float32."""
    return std_D <= ROUNDING * mean_D.abs()


def _failed(train: Labelled, status: MeasureStatus, reason: str) -> Fitted:
    frequent = train.labels_N.mode().values

    def predict(features_ND: Tensor) -> Tensor:
        return frequent.expand(len(features_ND)).clone()

    measure = Measure(name="accuracy", value=None, status=status, detail={"reason": reason})
    return Fitted(measure=measure, predict=predict)
