"""Alpha, the decay of the eigenspectrum (alpha-ReQ, Agrawal 2022), in the config's window.

Invariant to the scale, rotation and offset of the features, and to their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sweep.config.models import CriteriaConfig
from sweep.core.records import Measure
from sweep.criteria.spectrum import Features, alpha_of


def make(config: CriteriaConfig) -> Callable[[Features], Measure]:
    """Return alpha over ranks `config.first` to `config.last`."""
    return partial(alpha_of, first=config.first, last=config.last)
