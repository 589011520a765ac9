# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = [
#     "syne-tune[gpsearchers,blackbox-repository]>=0.14,<0.15",
#     "numpy>=1.26,<2",
#     "pyarrow>=20,<21",
# ]
# ///
"""Syne Tune 0.14 on complete tables, through its own simulator: the methods that 0.16 removed.

These are the ones that pause trials (ASHA and Hyperband by promotion, DyHPO), those with a
joint model over resources (MOBSTER, Hyper-Tune, DyHPO), and transfer (zero-shot, RUSH). Its
searchers choose among the candidates by `restrict_configurations`.
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
from syne_tune.optimizer.legacy_baselines import (
    ASHA,
    MOBSTER,
    BayesianOptimization,
    DyHPO,
    HyperTune,
    SyncHyperband,
    ZeroShotTransfer,
)
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from syne_tune.optimizer.schedulers.transfer_learning import (
    LegacyTransferLearningTaskEvaluations,
    RUSHScheduler,
)
from tables import Floats, Table, Untried

REPLICATE = 1e-4
"""Two seeds of a point are this far apart in the unit cube, because a searcher may not suggest a
configuration twice."""
Make = Callable[[Table, int, int], Any]
"""The candidates, the seed, the last resource -> scheduler."""


class OnTable(TrialScheduler):
    """A scheduler of 0.14 that lets workers wait while it has nothing to begin or to resume.

    The tuner ends for good when a scheduler has no suggestion. A scheduler that pauses trials may
    have one later, when more results are in. Until then free workers get trials of the row that
    only waits. The scheduler does not hear of them.
    """

    def __init__(self, inner: Any, part: Table) -> None:
        super().__init__(random_seed=0)
        self._inner = inner
        self._axes = part.axes
        self._untried = Untried(part)
        self._waiting_row = len(part)
        self._trials = 0
        self._rows: dict[int, int] = {}
        self._running: set[int] = set()

    def suggest(self) -> TrialSuggestion | None:
        try:
            suggestion = self._inner.suggest(self._trials)
        except ValueError:
            if len(self._untried):
                raise
            suggestion = None  # a model-based searcher fails once every configuration has begun
        if suggestion is None:
            if not self._running:
                return None
            self._trials += 1
            return TrialSuggestion.start_suggestion(syne.reads(self._waiting_row))
        if suggestion.spawn_new_trial_id:
            trial_id, self._trials = self._trials, self._trials + 1
            point = [suggestion.config[axis] for axis in self._axes]
            self._rows[trial_id] = self._untried.nearest(point)
            suggestion.config |= syne.reads(self._rows[trial_id])
        else:
            trial_id = int(suggestion.checkpoint_trial_id)
            if suggestion.config is not None:
                suggestion.config |= syne.reads(self._rows[trial_id])
        self._running.add(trial_id)
        return suggestion

    def on_trial_add(self, trial: Trial) -> None:
        if self._is_real(trial):
            self._inner.on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        if not self._is_real(trial):
            return SchedulerDecision.STOP
        decision = str(self._inner.on_trial_result(trial, result))
        if decision != SchedulerDecision.CONTINUE:
            self._running.discard(trial.trial_id)
        return decision

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        if self._is_real(trial):
            self._running.discard(trial.trial_id)
            self._inner.on_trial_complete(trial, result)

    def on_trial_remove(self, trial: Trial) -> None:
        if self._is_real(trial):
            self._inner.on_trial_remove(trial)

    def _is_real(self, trial: Trial) -> bool:
        return int(trial.config[syne.ROW]) != self._waiting_row

    def metric_names(self) -> list[str]:
        return [syne.METRIC]

    def metric_mode(self) -> str:
        return "max"

    def metadata(self) -> dict[str, Any]:
        return {"metric_names": self.metric_names(), "metric_mode": self.metric_mode()}


def distinct(part: Table) -> Floats:
    """Return the candidates in the unit cube, the seeds of a point a little apart."""
    shift = REPLICATE * part.replicates[:, None]
    unit = part.unit()
    return np.asarray(np.where(unit < 0.5, unit + shift, unit - shift))


def play(make: Make, *, rungs: str) -> command.Play:
    """Return the play of a scheduler.

    Args:
        make: the scheduler.
        rungs: the looks that it sees: `end`; `geometric`, those of the resources 1, 3, 9 and so
            on; `every`, as resources 1, 3, 9 and so on; `linear`, every look as 1, 2, 3 and so on.
    """

    def played(part: Table, order: int, workers: int) -> Ledger:
        random.seed(order)
        np.random.seed(order)  # noqa: NPY002  Syne Tune draws from it
        every = tuple(range(len(part.fractions)))
        looks = {"end": every[-1:], "geometric": part.rungs(3)}.get(rungs, every)
        count = range(len(looks))
        resources = [1 + i if rungs == "linear" else 3**i for i in count]
        scheduler = OnTable(make(part, order, resources[-1]), part)
        return syne.simulate(part, scheduler, looks=looks, resources=resources, workers=workers)

    return played


def made(cls: Any, *, in_order: bool = False, end: str = "max_t", **others: Any) -> Make:
    """Return a maker of a scheduler.

    Args:
        cls: its class.
        in_order: begin the candidates in the table's order, which is random.
        end: the key for the last resource; none for a scheduler that sees only the end.
        others: more keys.
    """

    def make(part: Table, seed: int, last: int) -> Any:
        configs = syne.coordinates(part, distinct(part))
        points = {"points_to_evaluate": configs} if in_order else {}
        keys = {"resource_attr": syne.RESOURCE, end: last} if end else {}
        return cls(
            syne.space(part),
            metric=syne.METRIC,
            mode="max",
            random_seed=seed,
            search_options={"restrict_configurations": configs, "debug_log": False},
            **keys,
            **points,
            **others,
        )

    return make


def in_brackets(cls: Any, **others: Any) -> Make:
    """Return a maker of a scheduler with one bracket for each rung."""

    def make(part: Table, seed: int, last: int) -> Any:
        return made(cls, brackets=len(part.rungs(3)) - 1, **others)(part, seed, last)

    return make


def evaluations(part: Table, others: list[Table]) -> dict[str, Any]:
    """Return the final accuracies of other tables, each at the nearest candidate's point."""
    unit_CA = part.unit()
    known = {}
    for other in others:
        unit = np.clip(part.unit(other.values_CA), 0, 1)
        nearest = ((unit[:, None] - unit_CA[None]) ** 2).sum(axis=-1).argmin(axis=1)
        known[other.name] = LegacyTransferLearningTaskEvaluations(
            configuration_space=syne.space(part),
            hyperparameters=pd.DataFrame(syne.coordinates(part, distinct(part)[nearest])),
            objectives_names=[syne.METRIC],
            objectives_evaluations=other.final[:, None, None, None],
        )
    return known


def rush(others: list[Table], kind: str) -> Make:
    def make(part: Table, seed: int, last: int) -> Any:
        return made(
            RUSHScheduler,
            in_order=True,
            type=kind,
            transfer_learning_evaluations=evaluations(part, others),
            num_hyperparameters_per_task=3,
        )(part, seed, last)

    return make


def zero_shot(others: list[Table]) -> Make:
    def make(part: Table, seed: int, last: int) -> Any:
        return ZeroShotTransfer(
            syne.space(part),
            metric=syne.METRIC,
            mode="max",
            transfer_learning_evaluations=evaluations(part, others),
            use_surrogates=True,
            random_seed=seed,
        )

    return make


def peers(table: Table, others: list[Table]) -> dict[str, command.Play]:
    """Return the peers by name; those that learn from other tables need tables of the same axes."""
    known = [other for other in others if other.axes == table.axes]
    stop, promote = {"type": "stopping"}, {"type": "promotion"}
    every = {
        "ASHA stopping": play(made(ASHA, in_order=True, **stop), rungs="geometric"),
        "ASHA promotion": play(made(ASHA, in_order=True, **promote), rungs="geometric"),
        "ASHA stopping every look": play(made(ASHA, in_order=True, **stop), rungs="every"),
        "ASHA promotion every look": play(made(ASHA, in_order=True, **promote), rungs="every"),
        "Hyperband promotion": play(in_brackets(ASHA, in_order=True, **promote), rungs="geometric"),
        "SyncHyperband": play(
            made(SyncHyperband, in_order=True, end="max_resource_level"), rungs="geometric"
        ),
        "BayesianOptimization": play(made(BayesianOptimization, end=""), rungs="end"),
        "MOBSTER": play(made(MOBSTER, **promote), rungs="geometric"),
        "HyperTune": play(in_brackets(HyperTune, **promote), rungs="geometric"),
        "DyHPO": play(made(DyHPO, rung_increment=1), rungs="linear"),
    }
    if known:
        every["RUSH stopping"] = play(rush(known, "stopping"), rungs="geometric")
        every["RUSH promotion"] = play(rush(known, "promotion"), rungs="geometric")
    if len(known) > 1:
        every["ZeroShot"] = play(zero_shot(known), rungs="end")
    return {f"syne014 {name}": played for name, played in every.items()}


if __name__ == "__main__":
    syne.quiet()
    command.run(peers, __doc__ or "")
