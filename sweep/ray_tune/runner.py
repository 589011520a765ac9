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
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from sweep.config import TrialConfig
from sweep.errors import SweepError
from sweep.interrupt import StopRequest
from sweep.preflight import Devices
from sweep.records import Observation
from sweep.study import Study
from sweep.trial import Context
from sweep.worker import Worker

Job = Mapping[str, Any]

GRACE_SECONDS = 2.0
"""For a trial to end its step once a stop is asked for; Tune by itself waits for ten."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """What a worker needs to know of each trial, as plain JSON.

    Args:
        of: trial_id -> {"config": TrialConfig as JSON, "context": fields of Context}.
        path: folder of the config, for plug-ins.
    """

    of: Callable[[str], Job]
    path: str | None


def drive(study: Study, jobs: Jobs, devices: Devices, stop: StopRequest) -> None:
    """Put trials to work on the cluster that is initialised, until none is left.

    Args:
        study: says which trial comes next and what it is to do.
        jobs: turns a trial's name into what the worker needs.
        devices: for each trial, and how many at once.
        stop: looked at in Tune's loop.

    Raises:
        SweepError: what the study raised, for instance because its storage failed.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(devices.parallel)
    scratch = Path(tempfile.mkdtemp(prefix="sweep-tune-"))
    watch = _Watch(stop)
    tuner = tune.Tuner(
        tune.with_resources(_Trainable, {"cpu": devices.cpu, "gpu": devices.gpu}),
        tune_config=tune.TuneConfig(
            search_alg=_Searcher(study, jobs, devices.parallel, stop),
            scheduler=_Scheduler(study),
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
        tuner.fit()
    except TuneError as error:
        if (ours := _ours(error)) is not None:
            raise ours  # noqa: B904  # it has its own cause; Tune's error only quotes it
        raise
    finally:
        watch.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _ours(error: BaseException) -> SweepError | None:
    """Return the error of ours that Tune made a text of, if it was one."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, SweepError):
        inner = inner.__cause__ or inner.__context__
    return inner


class _Trainable(tune.Trainable):
    """A `Worker` in an actor; each step is one observation."""

    def setup(self, config: dict[str, Any]) -> None:
        self._worker: Worker | None = None
        self._job = json.loads(config["job"])

    def step(self) -> dict[str, Any]:
        if self._worker is None:
            self._worker = Worker(
                TrialConfig(**self._job["config"]),
                Context.from_json(self._job["context"]),
                path=self._job["path"],
            )
        seen = self._worker.next()
        return {"observation": json.dumps(seen.to_json()) if seen else ""}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.leave()
        self.setup(new_config)
        return True

    def leave(self) -> None:
        """Let the trial and its folder go; the actor may wait long for its next trial."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def cleanup(self) -> None:
        self.leave()


class _Driver:
    """Stays on the driver: Tune pickles what it is given, and gets nothing of this."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Searcher(_Driver, Searcher):
    """Hands trials to Tune, lazily and in the study's order, while fewer than M are at work."""

    def __init__(self, study: Study, jobs: Jobs, parallel: int, stop: StopRequest) -> None:
        Searcher.__init__(self)
        self._study, self._jobs, self._parallel, self._stop = study, jobs, parallel, stop

    def suggest(self, trial_id: str) -> Any:  # a config, None (not now), or FINISHED
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


class _Scheduler(_Driver, FIFOScheduler):
    """Hands every result to the study, and its answer to Tune."""

    _supports_buffered_results = False

    def __init__(self, study: Study) -> None:
        FIFOScheduler.__init__(self)
        self._study = study

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        ours = trial.config["trial"]
        if not result["observation"]:
            self._study.fail(ours, "the trial ended unprobed", cause="exception")
        else:
            seen = Observation.from_json(json.loads(result["observation"]))
            if self._study.observe(ours, seen) == "continue":
                return TrialScheduler.CONTINUE
        if (actor := trial.temporary_state.ray_actor) is not None:
            actor.leave.remote()  # the trial may go on elsewhere, and at once
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        error, trace, cause = _what_happened(trial)
        self._study.fail(trial.config["trial"], error, traceback=trace, cause=cause)


class _Watch(_Driver, Stopper, tune.Callback):
    """Ends Tune's loop once a stop is asked for, and the actors that are too busy to leave."""

    def __init__(self, stop: StopRequest) -> None:
        self._asked = stop
        self._trials: list[Trial] = []
        self._timer: threading.Timer | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._trials = trials

    def stop_all(self) -> bool:
        if self._asked and self._timer is None:
            actors = [trial.temporary_state.ray_actor for trial in self._trials]
            self._timer = threading.Timer(GRACE_SECONDS, _kill, [[a for a in actors if a]])
            self._timer.start()
        return bool(self._asked)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()


def _kill(actors: list[Any]) -> None:
    for actor in actors:
        ray.kill(actor)


def _what_happened(trial: Trial) -> tuple[str, str, str]:
    """Return a trial's error in one line, its traceback, and the cause to count it by."""
    path = trial.pickled_error_file  # on this machine; `get_pickled_error` reads a later copy
    error = cloudpickle.loads(Path(path).read_bytes()) if path else None
    if isinstance(error, RayTaskError):
        inner = error.cause
        return f"{type(inner).__name__}: {inner}", str(error), "exception"
    if isinstance(error, RayActorError):
        last = str(error).strip().splitlines()[-1].strip()
        return f"the worker's process died: {last}", str(error), "worker died"
    return f"{type(error).__name__}: {error}", str(error), "tune"


@ray.remote(max_retries=0)
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def call(function: Callable[..., Any], *args: Any, devices: Devices) -> Any:
    """Run one function on the cluster with a trial's devices, and return its result."""
    task = _call.options(num_cpus=devices.cpu, num_gpus=devices.gpu)
    return ray.get(task.remote(function, *args))
