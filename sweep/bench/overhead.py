"""What the selection loop adds to a trial: 200 trials that do nothing, beside plain Ray Tune.

Both start their trials on the Ray that runs already, two at a time, and are timed from the
first to the last; what is left after the trials' own work, which is none, is overhead.
Ours writes its log with an fsync for each event, asks the rule, and keeps the tables.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sweep.bench.timing import Figure, Timing
from sweep.config.models import StudyConfig, TrialConfig
from sweep.core.records import Measure, Observation
from sweep.launch import launch
from sweep.pretraining.context import Context

WORKERS = 2


def nothing(config: TrialConfig, context: Context) -> Iterator[Observation]:
    """A trial without training: an alpha and an accuracy made up from its own number."""
    number = int(config.options["number"])
    alpha = Measure(name="alpha", value=0.5 + number % 97 / 50)
    yield Observation(stage="trained", step=1, measures=(Measure(name="loss", value=1.0),))
    yield Observation(stage="measured", step=1, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=1.0 / (1 + abs(number % 97 - 40)))
    yield Observation(stage="probed", step=1, measures=(accuracy,))


def run(
    *, repeats: int = 1, device: str = "cpu", trials: int = 200, plain_trials: int = 20
) -> Figure:
    """Return seconds per trial of ours, and of plain Ray Tune with fewer trials.

    Args:
        repeats: of each, in turn.
        device: `cpu`; trials that do nothing need no other.
        trials: of ours.
        plain_trials: of the baseline, which starts an actor for each.
    """
    from sweep.runners.ray.cluster import cluster

    with cluster(None):
        _plain(WORKERS)  # warm-up: Ray's workers and both sides' imports
        _ours(WORKERS)
        pairs = [(_ours(trials), _plain(plain_trials)) for _ in range(repeats)]
    timing = Timing(ours=tuple(a for a, _ in pairs), baseline=tuple(b for _, b in pairs))
    return timing.figure(
        "overhead", device=device, trials=trials, plain_trials=plain_trials, workers=WORKERS
    )


def _ours(trials: int) -> float:
    config = StudyConfig.model_validate(
        {
            "name": "overhead",
            "trial": "sweep.bench.overhead:nothing",
            "space": {"axes": {"options.number": list(range(trials))}},
            "resources": {"parallel": min(WORKERS, os.cpu_count() or 1)},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        launch.run(config, results=Path(folder), warn=lambda sentence: None)
        return (time.perf_counter() - began) / trials


def _plain(trials: int) -> float:
    """Ray Tune as its documentation shows it: a function that reports, FIFO, two at a time."""
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
