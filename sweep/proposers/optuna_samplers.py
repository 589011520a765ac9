"""Optuna's samplers over a study's candidates, asked and told.

A sampler is told what is known: a probed model's accuracy; that a stopped or failed one is worse
than any of these; that the others are still running. It is asked for a point in the ranges of
the varied fields, and the pending candidate nearest to that point is next. Optuna is imported
when a sampler is first asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.core.history import Floats, History, State
from sweep.prediction.surrogate import scale, varies, wide


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """The pending candidate nearest to what a sampler asks for.

    Args:
        sampler: seed -> Optuna's sampler.
        seed: of the study.
    """

    sampler: Callable[[int], Any]
    seed: int

    def __call__(self, history: History) -> int | None:
        pending = history.rows(State.PENDING)
        names = [name for name in history.varied if varies(history.column(name))]
        if len(pending) == 0 or not names:
            return None
        import optuna  # slow to import, and not wanted by most studies

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = {name: _range(optuna, history.column(name)) for name in names}
        begun = len(history) - len(pending)
        study = optuna.create_study(direction="maximize", sampler=self.sampler(self.seed + begun))
        study.add_trials(_told(optuna, history, space))
        asked = study.ask(space).params
        away = np.zeros(len(pending))
        for name in names:
            column = history.column(name)
            there = scale(column, np.array([asked[name]]))
            away += (scale(column, column[pending]) - there) ** 2
        return int(pending[np.argmin(away)])


def tpe(*, seed: int = 0) -> Sampled:
    """Return Optuna's tree-structured Parzen estimator (Bergstra 2011), with a constant liar."""

    def sampler(number: int) -> Any:
        import optuna

        return optuna.samplers.TPESampler(seed=number, multivariate=True, constant_liar=True)

    return Sampled(sampler=sampler, seed=seed)


def gp(*, seed: int = 0) -> Sampled:
    """Return Optuna's Gaussian-process sampler; it takes tens of milliseconds a candidate."""

    def sampler(number: int) -> Any:
        import optuna

        return optuna.samplers.GPSampler(seed=number)

    return Sampled(sampler=sampler, seed=seed)


def random(*, seed: int = 0) -> Sampled:
    """Return points drawn evenly, whatever is known: what a sampler is held against."""

    def sampler(number: int) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=number)

    return Sampled(sampler=sampler, seed=seed)


def _told(optuna: Any, history: History, space: dict[str, Any]) -> list[Any]:
    """Return Optuna's trials for all candidates that have begun."""
    accuracy = history.column("accuracy")
    out = []
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
            out.append(optuna.trial.create_trial(**fields))
    return out


def _range(optuna: Any, column: Floats) -> Any:
    low, high = float(np.nanmin(column)), float(np.nanmax(column))
    return optuna.distributions.FloatDistribution(low, high, log=wide(column))
