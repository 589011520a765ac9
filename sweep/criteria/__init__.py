"""Label-free criteria: a function of `Features` that returns a `Measure`.

Members keep no state, see no labels (the type has none) and return a numerical failure
as a status. To add one: a function of `CriteriaConfig` that returns the criterion, and
a line in `CRITERIA`.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.config.models import CriteriaConfig
from sweep.core.records import Measure
from sweep.criteria import alpha, rankme
from sweep.criteria.spectrum import Features

Criterion = Callable[[Features], Measure]

CRITERIA: dict[str, Callable[[CriteriaConfig], Criterion]] = {
    "alpha": alpha.make,
    "rankme": rankme.make,
}
