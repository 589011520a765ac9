"""Proposers: which candidate is pretrained next. A proposer is a pure function of the history.

A member is a factory `name(*, key=default)`; a parameter `seed` is filled from the study. The
proposer takes the history and returns the row of a pending candidate, or None for the next
candidate in the study's order. It chooses among the candidates of the space: the points of a grid,
or the random points that were drawn. Imports `core`, `config` and `prediction`. To add a
proposer: a file here, and a line in `PROPOSERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config.models import ProposerConfig
from sweep.core import plugins
from sweep.core.history import History
from sweep.proposers.improvement import Improvement
from sweep.proposers.optuna_samplers import gp, random, tpe

Proposer = Callable[[History], int | None]


def order() -> Proposer:
    """Return the proposer that follows the study's order."""
    return lambda history: None


PROPOSERS: Mapping[str, Callable[..., Proposer]] = {
    "order": order,
    "improvement": Improvement,
    "tpe": tpe,
    "gp": gp,
    "random": random,
}


def bind(config: ProposerConfig, *, seed: int) -> plugins.Bound[Proposer]:
    """Return the proposer that a config names, its keys checked; raise `ConfigError`."""
    return plugins.bind(
        "The proposer",
        config.name,
        PROPOSERS,
        config.parameters,
        where="space.proposer",
        filled={"seed": seed},
        common=ProposerConfig.model_fields,
    )
