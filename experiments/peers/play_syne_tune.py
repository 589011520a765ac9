# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["syne-tune[extra]>=0.16,<0.17", "numpy>=2,<3", "pyarrow>=20,<28"]
# ///
"""Syne Tune 0.16 on complete tables, through its own simulator.

A searcher works in the unit cube of the varied fields; the point that it gives is replaced by the
nearest candidate that has not begun before the trial starts. Its schedulers stop trials and never
pause them; those that pause are in 0.14: `play_syne_tune_014.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import command
import numpy as np
import pandas as pd
import syne_simulation as syne
from ledger import Ledger
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import (
    ASHA,
    ASHABORE,
    ASHACQR,
    BOHB,
    BORE,
    CQR,
    REA,
    TPE,
    BOTorch,
    RandomSearch,
)
from syne_tune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from syne_tune.optimizer.schedulers.median_stopping_rule import MedianStoppingRule
from syne_tune.optimizer.schedulers.single_objective_scheduler import SingleObjectiveScheduler
from syne_tune.optimizer.schedulers.transfer_learning.bounding_box import BoundingBox
from syne_tune.optimizer.schedulers.transfer_learning.quantile_based.quantile_based_searcher import (  # noqa: E501
    QuantileBasedSurrogateSearcher,
)
from syne_tune.optimizer.schedulers.transfer_learning.transfer_learning_task_evaluation import (
    TransferLearningTaskEvaluations,
)
from tables import Table, Untried

Make = Callable[[Table, int, dict[str, Any]], TrialScheduler]
"""The candidates, the seed, the keys that say what the resources are -> scheduler."""


class OnTable(TrialScheduler):
    """A scheduler whose points are moved to candidates that have not begun."""

    def __init__(self, inner: TrialScheduler, part: Table) -> None:
        super().__init__(random_seed=0)
        self._inner = inner
        self._axes = part.axes
        self._configs = syne.coordinates(part)
        self._untried = Untried(part)

    def suggest(self) -> TrialSuggestion | None:
        if not len(self._untried):
            return None
        suggestion = self._inner.suggest()
        row = self._untried.nearest([suggestion.config[axis] for axis in self._axes])
        suggested = getattr(getattr(self._inner, "searcher", None), "trial_configs", None)
        if isinstance(self._inner, BOTorch) and suggested:
            suggested[len(suggested) - 1] = dict(self._configs[row])  # what it believes was trained
        return TrialSuggestion.start_suggestion(
            {**suggestion.config, **self._configs[row], **syne.reads(row)}
        )

    def on_trial_add(self, trial: Trial) -> None:
        self._inner.on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        return self._inner.on_trial_result(trial, result)

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        self._inner.on_trial_complete(trial, result)

    def on_trial_error(self, trial: Trial) -> None:
        self._inner.on_trial_error(trial)

    def metric_names(self) -> list[str]:
        return [syne.METRIC]

    def metric_mode(self) -> str:
        return "max"

    def metadata(self) -> dict[str, Any]:
        return {"metric_names": self.metric_names(), "metric_mode": self.metric_mode()}


def play(make: Make, *, rungs: str) -> command.Play:
    """Return the play of a scheduler.

    Args:
        make: the scheduler.
        rungs: the looks that it sees: `end`, `geometric` (resources 1, 3, 9 and so on), or
            `every`, for which the resources are 1, 3, 9 whatever the fractions are, so that one
            trial in three goes on at every look, as by our `asha`.
    """

    def played(part: Table, order: int, workers: int) -> Ledger:
        random.seed(order)
        np.random.seed(order)  # noqa: NPY002  Syne Tune draws points and brackets from it
        every = tuple(range(len(part.fractions)))
        looks = {"end": every[-1:], "geometric": part.rungs(3), "every": every}[rungs]
        resources = (
            [3**i for i in looks] if rungs == "every" else [part.resources[i] for i in looks]
        )
        keys = {"time_attr": syne.RESOURCE, "max_t": resources[-1]}
        return syne.simulate(
            part,
            OnTable(make(part, order, {} if rungs == "end" else keys), part),
            looks=looks,
            resources=resources,
            workers=workers,
        )

    return played


def made(cls: Any, *, in_order: bool = False, metric: str = "metric", **others: Any) -> Make:
    """Return a maker of a scheduler; `in_order` begins the candidates in the table's order."""

    def make(part: Table, seed: int, keys: dict[str, Any]) -> TrialScheduler:
        points = {"points_to_evaluate": syne.coordinates(part)} if in_order else {}
        name = {metric: [syne.METRIC] if metric == "metrics" else syne.METRIC}
        scheduler: TrialScheduler = cls(
            syne.space(part),
            do_minimize=False,
            random_seed=seed,
            **name,
            **keys,
            **points,
            **others,
        )
        return scheduler

    return make


def hyperband(part: Table, seed: int, keys: dict[str, Any]) -> TrialScheduler:
    brackets = len(part.rungs(3)) - 1
    return made(ASHA, in_order=True, brackets=brackets)(part, seed, keys)


def median_stopping(part: Table, seed: int, keys: dict[str, Any]) -> TrialScheduler:
    inner = made(RandomSearch, in_order=True, metric="metrics")(part, seed, {})
    return MedianStoppingRule(
        inner, time_attr=syne.RESOURCE, metric=syne.METRIC, do_minimize=False, random_seed=seed
    )


def transfer(others: list[Table], kind: str) -> Make:
    """Return a maker of a scheduler that knows the final accuracies of the other tables."""

    def make(part: Table, seed: int, keys: dict[str, Any]) -> TrialScheduler:
        evaluations = {}
        for other in others:
            unit = np.clip(part.unit(other.values_CA), 0, 1)
            accuracy = other.final[:, None, None, None]
            evaluations[other.name] = TransferLearningTaskEvaluations(
                configuration_space=syne.space(part),
                hyperparameters=pd.DataFrame(syne.coordinates(part, unit)),
                objectives_names=[syne.METRIC],
                objectives_evaluations=-accuracy if kind == "quantile" else accuracy,
            )
        if kind == "quantile":  # it minimizes
            searcher = QuantileBasedSurrogateSearcher(
                syne.space(part), transfer_learning_evaluations=evaluations, random_seed=seed
            )
            return SingleObjectiveScheduler(
                syne.space(part),
                metric=syne.METRIC,
                do_minimize=False,
                searcher=searcher,
                random_seed=seed,
            )
        return BoundingBox(
            lambda inner, metric, minimize, number: CQR(
                inner, metric, do_minimize=minimize, random_seed=number
            ),
            syne.space(part),
            metric=syne.METRIC,
            transfer_learning_evaluations=evaluations,
            do_minimize=False,
            num_hyperparameters_per_task=5,
            random_seed=seed,
        )

    return make


def peers(table: Table, others: list[Table]) -> dict[str, command.Play]:
    """Return the peers by name; those that learn from other tables need tables of the same axes."""
    known = [other for other in others if other.axes == table.axes]
    every = {
        "random": play(made(RandomSearch, in_order=True, metric="metrics"), rungs="end"),
        "TPE": play(made(TPE), rungs="end"),
        "BORE": play(made(BORE), rungs="end"),
        "REA": play(made(REA), rungs="end"),
        "CQR": play(made(CQR), rungs="end"),
        "BOTorch": play(made(BOTorch), rungs="end"),
        "ASHA": play(made(ASHA, in_order=True), rungs="geometric"),
        "ASHA every look": play(made(ASHA, in_order=True), rungs="every"),
        "Hyperband": play(hyperband, rungs="geometric"),
        "BOHB": play(made(BOHB), rungs="geometric"),
        "ASHABORE": play(made(ASHABORE), rungs="geometric"),
        "ASHACQR": play(made(ASHACQR), rungs="geometric"),
        "median stopping": play(median_stopping, rungs="every"),
    }
    if known:
        every["bounding box CQR"] = play(transfer(known, "box"), rungs="end")
        every["quantile transfer"] = play(transfer(known, "quantile"), rungs="end")
    return {f"syne {name}": played for name, played in every.items()}


if __name__ == "__main__":
    syne.quiet()
    command.run(peers, __doc__ or "")
