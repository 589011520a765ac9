"""Proposers: which candidate is pretrained next. A proposer is a pure function of the history.

It is given the history and returns the row of a pending candidate, or None for the next in
the study's order. It chooses among the candidates that the space lists: a grid, or as many
random points as are drawn. To add one: a function of a seed that returns the proposer, and a
line in `PROPOSERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.core.history import History
from sweep.proposers.improvement import Improvement
from sweep.proposers.optuna_samplers import gp, random, tpe

Proposer = Callable[[History], int | None]

PROPOSERS: Mapping[str, Callable[[int], Proposer | None]] = {
    "order": lambda seed: None,
    "improvement": lambda seed: Improvement(),
    "tpe": tpe,
    "gp": gp,
    "random": random,
}
