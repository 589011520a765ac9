"""RankMe, the entropy rank of the uncentred features (Garrido 2023).

Invariant to the scale and rotation of the features and to their order, but not to an
offset: they are not centred.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.core.records import Measure
from sweep.criteria.encoded import Encoded
from sweep.criteria.spectrum import rankme_of


def rankme() -> Callable[[Encoded], Measure]:
    """Return RankMe, which has no keys."""
    return lambda encoded: rankme_of(encoded.moments)
