"""What a criterion may know of an encoder: features of images, and no label.

Each form is computed when a criterion first asks for it, and kept for the others.
Shapes: N images, n of them in q augmented views, B images in a batch, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import torch
from torch import Tensor

from sweep.criteria.spectrum import Features, Moments

BATCH = 512


class Encoded:
    """Features of one encoder at one moment.

    Args:
        batches: returns the features of the N images, unaugmented and in order: float32 [B, D]
            in batches.
        augmented: (n, q) -> float32 [n, q, D], the features of q random views of the first n
            images; the same at each call. None where there are no images to augment.
    """

    def __init__(
        self,
        batches: Callable[[], Iterable[Tensor]],
        augmented: Callable[[int, int], Tensor] | None = None,
    ) -> None:
        self._batches = batches
        self._augmented = augmented
        self._views: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def of(cls, features_ND: Tensor) -> Encoded:
        """Return features that are in memory already, without views."""
        return cls(lambda: torch.split(features_ND, BATCH))

    @cached_property
    def features_ND(self) -> Tensor:
        """All features, float32 [N, D]; 4 N D bytes of memory."""
        return torch.cat(list(self._batches()))

    @cached_property
    def moments(self) -> Features:
        """Mean, covariance and spectrum of the features, from one pass in float64."""
        cached = self.__dict__.get("features_ND")
        moments = Moments()
        for h_BD in self._batches() if cached is None else torch.split(cached, BATCH):
            moments.update(h_BD)
        return moments.features()

    def views_nqD(self, images: int, views: int) -> Tensor:  # shapes are upper case
        """Return the features of random views of the first images, float32 [n, q, D].

        Args:
            images: n, at most N.
            views: q of each image, drawn as in pretraining.

        Raises:
            ValueError: there are no images to augment.
        """
        if self._augmented is None:
            raise ValueError("These features come without images, so they have no views.")
        if (images, views) not in self._views:
            self._views[images, views] = self._augmented(images, views)
        return self._views[images, views]
