"""`RuleSearcher`: the rule decides which candidate of a user's own Tuner begins, and when."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from sweep.core.errors import ConfigError
from sweep.runners.ray.scheduler import GoldilocksScheduler
from sweep.runners.ray.watch import DriverOnly

Points = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]


class RuleSearcher(DriverOnly, Searcher):
    """A Tune searcher that begins the candidate which the scheduler's rule names.

    Beginnings and idle workers are then the rule's, as in a study. Without it, Tune begins each
    trial as soon as there is room.

    Args:
        scheduler: of the same Tuner; its study is shared. Each Tuner needs a new one.
        points: the configs of the candidates; or name -> values, for every combination of them.
        workers: M, how many trials work at once.

    Raises:
        ConfigError: no points, fewer than one worker, or a scheduler that has been used.

    Example:
        >>> scheduler = GoldilocksScheduler(rule="race")
        >>> searcher = RuleSearcher(scheduler, {"d": [64, 256], "lr": [0.1, 0.3]}, workers=4)
        >>> tune.TuneConfig(scheduler=scheduler, search_alg=searcher, num_samples=-1)
        ... # doctest: +SKIP

    `num_samples=-1` lets the searcher say when the study ends. Leave `max_concurrent_trials` unset:
    Tune would count paused trials as well.
    """

    def __init__(self, scheduler: GoldilocksScheduler, points: Points, *, workers: int) -> None:
        Searcher.__init__(self)
        configs = _configs(points)
        if not configs:
            raise ConfigError("RuleSearcher needs at least one point.")
        if workers < 1:
            raise ConfigError(f"workers is {workers}; at least 1 trial must work.")
        self._scheduler = scheduler
        width = len(str(len(configs) - 1))
        self._configs = {f"point-{n:0{width}}": config for n, config in enumerate(configs)}
        scheduler.lead(self._configs, workers=workers)

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the trial that begins now; None or FINISHED where none does."""
        name = self._scheduler.begin(trial_id)
        if name is not None:
            return copy.deepcopy(dict(self._configs[name]))
        return Searcher.FINISHED if self._scheduler.ended else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a Tuner with RuleSearcher cannot be restored")


def _configs(points: Points) -> list[Mapping[str, Any]]:
    if isinstance(points, Mapping):
        return [
            dict(zip(points, values, strict=True)) for values in itertools.product(*points.values())
        ]
    return list(points)
