"""RankMe, the entropy rank of the uncentred features (Garrido 2023).

Invariant to the scale and rotation of the features and to their order, but not to an
offset: they are not centred.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.config.models import CriteriaConfig
from sweep.core.records import Measure
from sweep.criteria.spectrum import Features, rankme_of


def make(config: CriteriaConfig) -> Callable[[Features], Measure]:
    """Return RankMe, which has nothing to configure."""
    del config
    return rankme_of
