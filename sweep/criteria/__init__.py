"""Label-free criteria: a function of an encoder's features that returns a `Measure`.

A member is a factory `name(*, key=default)` that returns the criterion. A criterion keeps no
state, sees no labels (`Encoded` has none) and returns a numerical failure as a status. It may have
a method `check(dim=, images=)` that raises `ValueError` if it cannot be measured.
Imports `core` and `config`. To add a criterion: a file here, and a line in `CRITERIA`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config.models import CriteriaConfig
from sweep.core import plugins
from sweep.core.errors import ConfigError
from sweep.core.records import Measure
from sweep.criteria.alpha import Alpha
from sweep.criteria.encoded import Encoded
from sweep.criteria.rankme import rankme

Criterion = Callable[[Encoded], Measure]

CRITERIA: Mapping[str, Callable[..., Criterion]] = {
    "alpha": Alpha,
    "rankme": rankme,
}


def bind(config: CriteriaConfig, *, seed: int = 0) -> list[plugins.Bound[Criterion]]:
    """Return the criteria that a config names, in order, their keys checked.

    Args:
        config: the names and the tables of keys.
        seed: of the trial, for a criterion that has a parameter `seed`.

    Raises:
        ConfigError: no such criterion, or a key or value that it does not take.
    """
    return [
        plugins.bind(
            "The criterion",
            name,
            CRITERIA,
            config.parameters_of(name),
            where=f"criteria.{name}",
            filled={"seed": seed},
        )
        for name in config.names
    ]


def measure(bound: plugins.Bound[Criterion], encoded: Encoded) -> Measure:
    """Return what a criterion says of features.

    Raises:
        ConfigError: the criterion refuses the features, raises an error if it is a plug-in, or
            returns no `Measure`.
    """
    criterion = bound.make()
    with bound.guarded():
        result = criterion(encoded)
    if not isinstance(result, Measure):
        raise ConfigError(
            f"The criterion {bound.name!r} returned a {type(result).__name__}, and must return a "
            "sweep.Measure(name=..., value=...)."
        )
    return result
