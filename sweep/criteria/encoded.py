"""What a criterion may know of an encoder: features of images, and no label.

Features, moments and views are each computed when a criterion first asks for them, and kept for
the criteria that follow.
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
    """Features of one encoder at one step.

    Args:
        count: N.
        batches: returns the features of the N images, unaugmented and in order: float32 [B, D]
            in batches.
        augmented: (n, q) -> float32 [n, q, D], the features of q random views of the first n
            images; the same at each call. None if there are no images to augment.
    """

    def __init__(
        self,
        count: int,
        batches: Callable[[], Iterable[Tensor]],
        augmented: Callable[[int, int], Tensor] | None = None,
    ) -> None:
        self.count = count
        self._batches = batches
        self._augmented = augmented
        self._views: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def of(cls, features_ND: Tensor, views_nqD: Tensor | None = None) -> Encoded:
        """Return features that are in memory, for a test or a notebook.

        Args:
            features_ND: floating point [N, D].
            views_nqD: floating point [n, q, D], of the first n images; None for no views.
        """

        def batches() -> Iterable[Tensor]:
            return torch.split(features_ND, BATCH)

        if views_nqD is None:
            return cls(len(features_ND), batches)
        return cls(len(features_ND), batches, lambda images, views: views_nqD[:images, :views])

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

    def views_nqD(self, images: int, views: int) -> Tensor:
        """Return the features of random views of the first images, float32 [n, q, D].

        Args:
            images: n, 1 to N.
            views: q of each image, drawn as in pretraining: the first, third, ... with the recipe
                of the first view, the others with that of the second.

        Raises:
            ValueError: there are no images to augment, or fewer than n.
        """
        if self._augmented is None:
            raise ValueError("These features come without images, so they have no views.")
        if not 1 <= images <= self.count or views < 1:
            raise ValueError(
                f"{views} views of {images} images were asked for, but it must be 1 view or more "
                f"of 1 to {self.count} images. criteria.images sets how many images there are."
            )
        if (images, views) not in self._views:
            self._views[images, views] = self._augmented(images, views)
        return self._views[images, views]
