"""Alpha, the decay exponent of the eigenspectrum (alpha-ReQ, Agrawal 2022), in a window of ranks.

Alpha does not change with the scale, rotation, offset or order of the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sweep.core.records import Measure
from sweep.criteria.encoded import Encoded
from sweep.criteria.spectrum import alpha_of

Rank = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alpha:
    """Alpha, fitted to ranks `first` to `last` of the spectrum.

    Args:
        first, last: ranks, counted from 1, both included; 4..100 in alpha-ReQ.

    Raises:
        ValueError: fewer than 3 ranks.
    """

    first: Rank = 4
    last: Rank = 100

    def __post_init__(self) -> None:
        if self.last < self.first + 2:
            raise ValueError(
                f"the window {self.first}..{self.last} has fewer than 3 ranks; "
                "set criteria.alpha.last to first + 2 or more."
            )

    def __call__(self, encoded: Encoded) -> Measure:
        return alpha_of(encoded.moments, first=self.first, last=self.last)

    def check(self, *, dim: int, images: int) -> None:
        """Raise `ValueError` if the features or the images are too few for the window.

        Args:
            dim: D, number of the encoder's features.
            images: N, number of images.
        """
        if self.last > dim:
            raise ValueError(
                f"the window {self.first}..{self.last} reaches beyond the encoder's {dim} "
                f"features. Set criteria.alpha.last to {dim} or less, or widen the encoder."
            )
        if images <= self.last:
            raise ValueError(
                f"alpha up to rank {self.last} needs more than {self.last} images, and {images} "
                "are used. Set criteria.images higher or criteria.alpha.last lower."
            )
