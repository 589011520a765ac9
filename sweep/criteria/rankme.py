"""RankMe, the entropy rank of the uncentred features (Garrido 2023).

RankMe does not change with the scale, rotation or order of the features. It changes with their
offset, because the features are not centred.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.core.records import Measure
from sweep.criteria.encoded import Encoded
from sweep.criteria.spectrum import rankme_of


def rankme() -> Callable[[Encoded], Measure]:
    """Return RankMe, which has no keys."""
    return lambda encoded: rankme_of(encoded.moments)
