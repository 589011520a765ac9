"""The bench of overhead: the seconds that a study adds to a trial, beside plain Ray Tune.

The trials do nothing, so all of their time is overhead. Both ways run two trials at a time, on a
Ray that runs already, and are timed from the first trial to the last. Ours syncs its log to the
disk at each event, asks the rule, and keeps the tables.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from sweep.bench.timing import Figure, Timing
from sweep.config.study import StudyConfig
from sweep.launch import launch

WORKERS = 2


def run(
    *, repeats: int = 1, device: str = "cpu", trials: int = 200, plain_trials: int = 20
) -> Figure:
    """Return seconds per trial of ours, and of plain Ray Tune with fewer trials.

    Wanted: at most 0.3 s.

    Args:
        repeats: timed runs of each.
        device: `cpu`. Trials that do nothing need no GPU.
        trials: trials of ours.
        plain_trials: trials of the baseline, which starts an actor for each.
    """
    from sweep.runners.ray.cluster import cluster

    with cluster(None):
        _plain(WORKERS)  # warm-up: starts Ray's workers and imports what both ways need
        _ours(WORKERS)
        pairs = [(_ours(trials), _plain(plain_trials)) for _ in range(repeats)]
    timing = Timing(ours=tuple(a for a, _ in pairs), baseline=tuple(b for _, b in pairs))
    return timing.figure(
        "overhead", device=device, trials=trials, plain_trials=plain_trials, workers=WORKERS
    )


def _ours(trials: int) -> float:
    """Return seconds per trial of a study."""
    config = StudyConfig.model_validate(
        {
            "name": "overhead",
            "trial": "sweep.bench.nothing:nothing",
            "space": {"axes": {"options.number": list(range(trials))}},
            "resources": {"parallel": min(WORKERS, os.cpu_count() or 1)},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        launch.run(config, results=Path(folder), warn=lambda sentence: None)
        return (time.perf_counter() - began) / trials


def _plain(trials: int) -> float:
    """Return seconds per trial of plain Ray Tune: a function that reports, as documented."""
    from ray import tune

    def trainable(config: dict[str, int]) -> None:
        number = config["number"]
        tune.report({"alpha": 0.5 + number % 97 / 50})
        tune.report({"accuracy": 1.0 / (1 + abs(number % 97 - 40))})

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(trials)))},
            tune_config=tune.TuneConfig(max_concurrent_trials=WORKERS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        began = time.perf_counter()
        tuner.fit()
        return (time.perf_counter() - began) / trials
