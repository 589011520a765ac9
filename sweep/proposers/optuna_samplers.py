"""Optuna's samplers over a study's candidates.

A sampler gets every candidate that has begun: a probed model with its accuracy, a stopped or failed
model as pruned, and any other model as running. The sampler then gives a point in the ranges of the
varied fields. The pending candidate nearest to that point is next. The field `seed` is left out:
it says nothing about accuracy, and a sampler would look for good seeds. Optuna is imported when a
sampler first chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.core.history import Floats, History, State
from sweep.prediction.surrogate import scale, varies, wide


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerProposer:
    """Choose the pending candidate nearest to the point that a sampler gives.

    Args:
        sampler: seed -> Optuna's sampler.
        seed: of the study.
    """

    sampler: Callable[[int], Any]
    seed: int

    def __call__(self, history: History) -> int | None:
        pending = history.rows(State.PENDING)
        names = [name for name in history.varied if name != "seed" and varies(history.column(name))]
        if len(pending) == 0 or not names:
            return None
        import optuna  # slow to import, and most studies do not use it

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = {name: _range(optuna, history.column(name)) for name in names}
        begun = len(history) - len(pending)
        study = optuna.create_study(direction="maximize", sampler=self.sampler(self.seed + begun))
        study.add_trials(_known_trials(optuna, history, space))
        point = study.ask(space).params
        distance = np.zeros(len(pending))
        for name in names:
            column = history.column(name)
            target = scale(column, np.array([point[name]]))
            distance += (scale(column, column[pending]) - target) ** 2
        return int(pending[np.argmin(distance)])


def tpe(*, seed: int = 0) -> SamplerProposer:
    """Return Optuna's tree-structured Parzen estimator (Bergstra 2011), with a constant liar."""

    def sampler(number: int) -> Any:
        import optuna

        return optuna.samplers.TPESampler(seed=number, multivariate=True, constant_liar=True)

    return SamplerProposer(sampler=sampler, seed=seed)


def gp(*, seed: int = 0) -> SamplerProposer:
    """Return Optuna's Gaussian-process sampler; it takes tens of ms for a candidate."""

    def sampler(number: int) -> Any:
        import optuna

        return optuna.samplers.GPSampler(seed=number)

    return SamplerProposer(sampler=sampler, seed=seed)


def random(*, seed: int = 0) -> SamplerProposer:
    """Return the proposer of uniformly random points, a baseline for the other samplers."""

    def sampler(number: int) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=number)

    return SamplerProposer(sampler=sampler, seed=seed)


def _known_trials(optuna: Any, history: History, space: dict[str, Any]) -> list[Any]:
    """Return Optuna's trials for all candidates that have begun."""
    accuracy = history.column("accuracy")
    trials = []
    for row in np.flatnonzero(history.state != State.PENDING):
        params = {name: float(history.column(name)[row]) for name in space}
        fields: dict[str, Any] = {"params": params, "distributions": space}
        state = State(int(history.state[row]))
        if not np.isnan(accuracy[row]):
            fields |= {"value": float(accuracy[row]), "state": optuna.trial.TrialState.COMPLETE}
        elif state.final:
            fields["state"] = optuna.trial.TrialState.PRUNED
        else:
            fields["state"] = optuna.trial.TrialState.RUNNING
        if not any(np.isnan(value) for value in params.values()):
            trials.append(optuna.trial.create_trial(**fields))
    return trials


def _range(optuna: Any, column: Floats) -> Any:
    low, high = float(np.nanmin(column)), float(np.nanmax(column))
    return optuna.distributions.FloatDistribution(low, high, log=wide(column))
