"""Our own studies on Ray Tune: M trials at once, actors reused.

`Study.next` is the only order of work: a `Searcher` hands its trials to Tune while fewer
than M are at work, and a `TrialScheduler` hands each result to `Study.observe`. A trial
that is told to wait leaves its actor at once, and a Tune trial of the same name begins
when it is told to go on: its journal makes that cheap, so no trial is ever PAUSED, and
neither retries nor resumes depend on Tune's own state.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.core.codec import decode_observation
from sweep.core.failures import UNPROBED
from sweep.runners.devices import Devices
from sweep.runners.interrupt import StopRequest
from sweep.runners.ray.actor import Actor
from sweep.runners.ray.memory import death_by_memory
from sweep.runners.ray.watch import Driver, Watch
from sweep.study import Study

Job = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """What a worker needs to know of each trial, as plain JSON.

    Args:
        of: trial_id -> {"config": TrialConfig as JSON, "context": fields of Context}.
        path: folder of the config, for plug-ins.
    """

    of: Callable[[str], Job]
    path: str | None


def drive(
    study: Study,
    jobs: Jobs,
    devices: Devices,
    stop: StopRequest,
    *,
    hang_seconds: float,
    warn: Callable[[str], None],
) -> None:
    """Put trials to work on the cluster that is initialised, until none is left.

    Args:
        study: says which trial comes next and what it is to do.
        jobs: turns a trial's name into what the worker needs.
        devices: for each trial, and how many at once.
        stop: looked at in Tune's loop.
        hang_seconds: after so long without a sign of life a worker is killed.
        warn: takes sentences.

    Raises:
        SweepError: what the study raised, for instance because its storage failed.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(devices.parallel)
    scratch = Path(tempfile.mkdtemp(prefix="sweep-tune-"))
    watch = Watch(stop, devices, hang_seconds=hang_seconds, warn=warn)
    tuner = tune.Tuner(
        tune.with_resources(Actor, {"cpu": devices.cpu, "gpu": devices.gpu}),
        tune_config=tune.TuneConfig(
            search_alg=_Searcher(study, jobs, devices.parallel, stop, watch),
            scheduler=_Scheduler(study, watch),
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(scratch),
            stop=watch,
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        with death_by_memory():
            tuner.fit()
    except tune.TuneError:
        if watch.error is not None:
            raise watch.error from None
        raise
    finally:
        watch.close()
        shutil.rmtree(scratch, ignore_errors=True)


class _Searcher(Driver, Searcher):
    """Hands trials to Tune, lazily and in the study's order, while fewer than M are at work."""

    def __init__(
        self, study: Study, jobs: Jobs, parallel: int, stop: StopRequest, watch: Watch
    ) -> None:
        Searcher.__init__(self)
        self._study, self._jobs, self._parallel, self._stop = study, jobs, parallel, stop
        self._watch = watch

    def suggest(self, trial_id: str) -> Any:
        with self._watch.telling():
            _settle(self._study, self._watch)
            return self._next()

    def _next(self) -> Any:  # a config, None (not now), or FINISHED
        if self._stop:
            return Searcher.FINISHED
        if len(self._study.working) >= self._parallel:
            return None
        ours = self._study.next()
        if ours is None:
            return None if self._study.working else Searcher.FINISHED
        self._study.start(ours)
        job = {**self._jobs.of(ours), "path": self._jobs.path}
        return {"trial": ours, "job": json.dumps(job)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study resumes from its own log")  # Tune never gets to ask


class _Scheduler(Driver, FIFOScheduler):
    """Hands every result to the study, and its answer to Tune."""

    _supports_buffered_results = False

    def __init__(self, study: Study, watch: Watch) -> None:
        FIFOScheduler.__init__(self)
        self._study, self._watch = study, watch
        self._unfinished: list[Trial] = []

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._unfinished.append(trial)
        self._watch.added(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self._watch.heard(trial)
        with self._watch.telling():
            goes_on = self._hear(trial.config["trial"], result)
        if goes_on:
            return TrialScheduler.CONTINUE
        self._watch.left(trial)
        return TrialScheduler.STOP

    def _hear(self, ours: str, result: dict[str, Any]) -> bool:
        """Take in a result; return whether the trial goes on."""
        if not result["observation"]:
            self._study.fail(ours, UNPROBED)
            return False
        seen = decode_observation(result["observation"].encode())
        return self._study.observe(ours, seen) == "continue"

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._watch.failed(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the first that waits; Tune's own way looks at every trial there ever was."""
        with self._watch.telling():
            _settle(self._study, self._watch)
        self._unfinished = [trial for trial in self._unfinished if not trial.is_finished()]
        return next((one for one in self._unfinished if one.status == Trial.PENDING), None)


def _settle(study: Study, watch: Watch) -> None:
    """Note the attempts that failed, once it is known what of; Tune calls both sides of us."""
    for trial_id, failure in watch.settled():
        study.fail(trial_id, failure)


@ray.remote(max_retries=3)  # should its worker or node go: it may be done again
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def call(function: Callable[..., Any], *args: Any, devices: Devices) -> Any:
    """Run one function on the cluster with a trial's devices, and return its result."""
    task = _call.options(num_cpus=devices.cpu, num_gpus=devices.gpu)
    return ray.get(task.remote(function, *args))
