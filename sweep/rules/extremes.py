"""Rules that use a single label-free number: lowest loss, largest RankMe, alpha nearest to 1.

All models are measured first; then the `probes` models that are best by this number are probed.
These rules are baselines: on a public table, the largest RankMe chooses a model 23.9 points below
the best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sweep.core.history import Floats, History, State
from sweep.core.records import Action, Decision, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Extreme:
    """Probe the models that are best by one criterion.

    Args:
        criterion: name of the history's column.
        badness: maps values of the column to numbers of which the lowest is best.
        probes: number of models to probe.
    """

    criterion: str
    badness: Callable[[Floats], Floats]
    probes: int = 1

    @property
    def needs(self) -> frozenset[str]:
        """The criterion by which it decides; every trial reports its loss."""
        return frozenset({self.criterion} - {"loss"})

    def __call__(self, history: History) -> Decision:
        unmeasured = history.count(State.PENDING, State.TRAINING) and not history.closed
        values = history.column(self.criterion)
        known = ~np.isnan(values)
        order = np.argsort(np.where(known, self.badness(values), np.inf), kind="stable")
        chosen = set(order[: self.probes][known[order[: self.probes]]].tolist())
        verdicts = []
        for row in history.unanswered if unmeasured else history.waiting:
            action: Action = "stop"
            reason = f"{self.criterion} {values[row]:.4g} is not among the best {self.probes}"
            if unmeasured:
                action, reason = "hold", "others are not measured yet"
            elif row in chosen:
                action = "continue"
                reason = f"{self.criterion} {values[row]:.4g} is among the best {self.probes}"
            verdicts.append(Verdict(trial_id=history.trial_ids[row], action=action, reason=reason))
        return Decision(zone=history.zone, verdicts=tuple(verdicts))


Probes = Annotated[int, Field(gt=0)]
"""How many models are probed."""


def lowest_loss(*, probes: Probes = 1) -> Extreme:
    """Return the rule that probes the models of lowest loss.

    Losses of different lambdas are not comparable; this rule compares them all the same.
    """
    return Extreme(criterion="loss", badness=_same, probes=probes)


def largest_rankme(*, probes: Probes = 1) -> Extreme:
    """Return the rule that probes the models of largest RankMe."""
    return Extreme(criterion="rankme", badness=np.negative, probes=probes)


def alpha_one(*, probes: Probes = 1) -> Extreme:
    """Return the rule that probes the models whose alpha is nearest to 1."""
    return Extreme(criterion="alpha", badness=_from_one, probes=probes)


def _same(values: Floats) -> Floats:
    return values


def _from_one(values: Floats) -> Floats:
    return np.abs(values - 1.0)
