# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = [
#     "optuna>=5,<6",
#     "numpy>=2,<3",
#     "pyarrow>=20,<28",
#     "scipy>=1.15,<2",
#     "torch>=2.6,<3",
# ]
# ///
"""Optuna's samplers and pruners on complete tables, with M asynchronous workers.

Trials are asked for and told in the order of a virtual clock. A sampler works in the unit cube of
the varied fields; the point that it gives is replaced by the nearest candidate that has not begun
before Optuna records it, so that Optuna knows what was trained. A pruned trial frees its worker.
"""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Callable
from typing import Any

import command
import optuna
from ledger import Ledger
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from tables import Table, Untried

MakeSampler = Callable[[int], BaseSampler | None]
MakePruner = Callable[[Table], tuple[BasePruner, tuple[int, ...]]]
"""A table -> the pruner, and the looks at which it is asked, the last of them the end."""


class OnTable(BaseSampler):
    """A sampler of Optuna whose points are moved to candidates that have not begun.

    Args:
        inner: the sampler; None for the table's order, which is random.
        part: the candidates.
    """

    def __init__(self, inner: BaseSampler | None, part: Table) -> None:
        self._inner = inner
        self._unit_CA = part.unit()
        self.untried = Untried(part)
        self.space: dict[str, BaseDistribution] = {
            axis: FloatDistribution(0.0, 1.0) for axis in part.axes
        }
        self.row = -1  # of the last trial

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self.space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._inner is None:
            self.row = self.untried.first()
        else:
            known = self._inner.infer_relative_search_space(study, trial)
            params = self._inner.sample_relative(study, trial, known)
            for name, distribution in self.space.items():
                if name not in params:
                    params[name] = self._inner.sample_independent(study, trial, name, distribution)
            self.row = self.untried.nearest([params[name] for name in self.space])
        return dict(zip(self.space, self._unit_CA[self.row].tolist(), strict=True))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        raise NotImplementedError("Every field is sampled together.")

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        if self._inner is not None:
            self._inner.after_trial(study, trial, state, values)


def play(make_sampler: MakeSampler, make_pruner: MakePruner) -> command.Play:
    """Return the play of a sampler with a pruner."""

    def played(part: Table, order: int, workers: int) -> Ledger:
        ledger = Ledger(part)
        sampler = OnTable(make_sampler(order), part)
        pruner, looks = make_pruner(part)
        study = optuna.create_study(
            direction="maximize", sampler=sampler, pruner=pruner, study_name=f"order{order}"
        )
        queue: list[tuple[float, int, optuna.Trial, int, int]] = []
        now, tie = 0.0, 0

        def train(trial: optuna.Trial, row: int, place: int) -> None:
            nonlocal tie
            end = now + sum(ledger.seconds(row, looks[place]))
            heapq.heappush(queue, (end, tie, trial, row, place))
            tie += 1

        while True:
            while len(queue) < workers and len(sampler.untried):
                trial = study.ask(sampler.space)
                train(trial, sampler.row, 0)
            if not queue:
                return ledger
            now, _, trial, row, place = heapq.heappop(queue)
            look = looks[place]
            ledger.add(row, look, now)
            accuracy = float(part.accuracy_CL[row, look])
            if place == len(looks) - 1:
                study.tell(trial, accuracy)
                continue
            trial.report(accuracy, part.resources[look])
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
            else:
                train(trial, row, place + 1)

    return played


def no_pruner(part: Table) -> tuple[BasePruner, tuple[int, ...]]:
    return NopPruner(), (len(part.fractions) - 1,)


def hyperband(part: Table) -> tuple[BasePruner, tuple[int, ...]]:
    pruner = HyperbandPruner(min_resource=1, max_resource=part.resources[-1], reduction_factor=3)
    return pruner, part.rungs(3)


def successive_halving(eta: int) -> MakePruner:
    def pruner(part: Table) -> tuple[BasePruner, tuple[int, ...]]:
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=eta), part.rungs(eta)

    return pruner


SAMPLERS: dict[str, MakeSampler] = {
    "random": lambda seed: None,
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
}
PRUNERS: dict[str, MakePruner] = {
    "": no_pruner,
    "+hyperband": hyperband,
    "+halving": successive_halving(4),  # Optuna's default reduction factor
    "+halving3": successive_halving(3),
}
PEERS = {
    f"optuna {sampler}{pruner}": play(SAMPLERS[sampler], PRUNERS[pruner])
    for sampler in SAMPLERS
    for pruner in PRUNERS
    if sampler != "gp" or not pruner
}

if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # experimental samplers
    command.run(lambda table, others: PEERS, __doc__ or "")
