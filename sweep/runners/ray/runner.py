"""Our own studies on Ray Tune: M trials at once, actors reused.

`Study.next` alone decides which trial runs next: a `Searcher` gives its trials to Tune while
fewer than M are at work, and a `TrialScheduler` gives each result to `Study.observe`. A trial that
has to wait leaves its actor at once. When it may go on, a new Tune trial starts it again, which its
journal makes cheap. So no trial is ever PAUSED in Tune, and neither retries nor resumes depend on
Tune's own state. Tune forgets each trial that has ended, so its memory does not grow with a study.
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
from sweep.runners.ray.guardian import in_environment
from sweep.runners.ray.internals import NoProgress, actors_of, death_by_memory, forget
from sweep.runners.ray.watch import DriverOnly, Watch
from sweep.study import Study

Job = Mapping[str, Any]

STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Environment variables that a worker gets from the driver. Tune gives the same to its workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """What a worker gets for each trial, as plain JSON.

    Args:
        of: trial_id -> {"config": TrialConfig as JSON, "context": fields of Context}.
        path: folder of the config, in which plug-ins may lie.
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
    wait: bool,
    warn: Callable[[str], None],
) -> None:
    """Run the trials of a study on the Ray that is initialised, until none is left.

    Args:
        study: decides which trial is next and what it does.
        jobs: gives the worker's input for a trial's id.
        devices: of each trial, and how many trials run at once.
        stop: checked in each round of Tune's loop.
        hang_seconds: a worker is killed after so long without a sign of life.
        wait: whether to say every half minute which resources trials wait for.
        warn: takes sentences for the user.

    Raises:
        SweepError: the study raised it, for instance because its storage failed.
    """
    pending = {"TUNE_MAX_PENDING_TRIALS_PG": str(devices.parallel)}
    scratch = Path(tempfile.mkdtemp(prefix="sweep-tune-"))
    watch = Watch(stop, devices, hang_seconds=hang_seconds, wait=wait, warn=warn)
    tuner = tune.Tuner(
        tune.with_resources(_OfTune, {"cpu": devices.cpu, "gpu": devices.gpu}),
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
            callbacks=[watch, NoProgress()],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        with in_environment(pending), death_by_memory(), actors_of(_actor_class()):
            tuner.fit()
    except tune.TuneError:
        if watch.error is not None:
            raise watch.error from None
        raise
    finally:
        watch.close()
        shutil.rmtree(scratch, ignore_errors=True)


class _OfTune(tune.Trainable):
    """What Tune is told that it runs, because it accepts only its own class: it runs `Actor`."""


def _actor_class() -> Any:
    """Return the remote class of actors, which get the driver's keys of the object store."""
    keys = {name: os.environ[name] for name in STORE_KEYS if name in os.environ}
    return ray.remote(runtime_env={"env_vars": keys})(Actor) if keys else ray.remote(Actor)


class _Searcher(DriverOnly, Searcher):
    """Gives trials to Tune one by one, in the study's order, while fewer than M are at work."""

    def __init__(
        self, study: Study, jobs: Jobs, parallel: int, stop: StopRequest, watch: Watch
    ) -> None:
        Searcher.__init__(self)
        self._study, self._jobs, self._parallel, self._stop = study, jobs, parallel, stop
        self._watch = watch

    def suggest(self, trial_id: str) -> Any:
        with self._watch.keeping_error():
            _settle(self._study, self._watch)
            return self._next()

    def _next(self) -> Any:  # a config, None (not now), or FINISHED
        if self._stop:
            return Searcher.FINISHED
        if len(self._study.working) >= self._parallel:
            return None
        next_trial = self._study.next()
        if next_trial is None:
            return None if self._study.working else Searcher.FINISHED
        self._study.start(next_trial)
        job = {**self._jobs.of(next_trial), "path": self._jobs.path}
        return {"trial": next_trial, "job": json.dumps(job)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study resumes from its own log")  # Tune never calls this


class _Scheduler(DriverOnly, FIFOScheduler):
    """Gives every result to the study, and the study's answer to Tune."""

    supports_buffered_results = False

    def __init__(self, study: Study, watch: Watch) -> None:
        FIFOScheduler.__init__(self)
        self._study, self._watch = study, watch
        self._unfinished: list[Trial] = []

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._unfinished.append(trial)
        self._watch.added(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self._watch.reported(trial)
        with self._watch.keeping_error():
            goes_on = self._observe(trial.config["trial"], result)
        if goes_on:
            self._watch.hand_over_if_drained(trial)
            return TrialScheduler.CONTINUE
        self._watch.left(trial)
        return TrialScheduler.STOP

    def _observe(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Give a result to the study; return whether the trial goes on."""
        if not result["observation"]:
            self._study.fail(trial_id, UNPROBED)
            return False
        observation = decode_observation(result["observation"].encode())
        return self._study.observe(trial_id, observation) == "continue"

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._watch.failed(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the first trial that waits; forget the trials that have ended."""
        with self._watch.keeping_error():
            _settle(self._study, self._watch)
        for trial in [trial for trial in self._unfinished if trial.is_finished()]:
            self._unfinished.remove(trial)
            forget(tune_controller, trial)
        return next((trial for trial in self._unfinished if trial.status == Trial.PENDING), None)


def _settle(study: Study, watch: Watch) -> None:
    """Record the failed attempts whose cause is known.

    Tune calls the searcher and the scheduler in turn, and either may be the first to know.
    """
    for trial_id, failure in watch.settled():
        study.fail(trial_id, failure)


@ray.remote(max_retries=3)  # if its worker dies or its node is lost
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def call(function: Callable[..., Any], *args: Any, devices: Devices) -> Any:
    """Return the result of one function that runs on the cluster with the devices of a trial."""
    task = _call.options(num_cpus=devices.cpu, num_gpus=devices.gpu)
    return ray.get(task.remote(function, *args))
