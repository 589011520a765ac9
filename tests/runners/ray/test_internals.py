"""The private names of Ray that we use do what we use them for, in the Ray that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.core.failures import Failure
from sweep.runners.ray.causes import error_of, failure_of
from sweep.runners.ray.cluster import lost_nodes
from sweep.runners.ray.internals import (
    NoProgress,
    actor_of,
    actors_of,
    death_by_memory,
    draining_nodes,
    forget,
)
from tests.processes import joined, wait_until
from tests.runners.ray.bare import Bare

pytestmark = pytest.mark.usefixtures("ray_cluster")

ROOT = Path(__file__).parents[3]
RAY = str(Path(sys.executable).with_name("ray"))


@contextmanager
def another_node(*options: str, **environment: str) -> Iterator[str]:
    """Start a node of the cluster, and yield its id."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    address = ray.get_runtime_context().gcs_address
    command = ["env", *settings, RAY, "start", "--address", address, *options, "--block"]
    with joined(command) as (node, _):
        yield node


@ray.remote(num_cpus=1)
def busy(started: str) -> None:
    Path(started).touch()
    time.sleep(600)


def test_a_node_that_is_drained_counts_as_lost_while_it_is_alive(tmp_path: Path) -> None:
    address, started = ray.get_runtime_context().gcs_address, tmp_path / "started"
    with another_node("--num-cpus", "1") as node:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        task = busy.options(scheduling_strategy=there).remote(str(started))
        wait_until(started.exists)  # an idle node would leave at once
        assert draining_nodes() == set()
        words = ["drain-node", "--address", address, "--node-id", node]
        words += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a test"]
        subprocess.run([RAY, *words, "--deadline-remaining-seconds", "600"], check=True)
        wait_until(lambda: node in draining_nodes())
        assert [n["Alive"] for n in ray.nodes() if n["NodeID"] == node] == [True]
        assert node in lost_nodes()
        ray.cancel(task, force=True)


NOISY = """
import os, sys, time
import ray
from sweep.runners.ray.internals import silent

@ray.remote(max_retries=0)
def die():
    os._exit(1)

def crash(name):
    print(name, flush=True)
    try:
        ray.get(die.remote())
    except ray.exceptions.WorkerCrashedError:
        time.sleep(2)  # Ray prints what it has to say a moment later

ray.init(address=sys.argv[1], configure_logging=False, log_to_driver=False)
with silent():
    crash("silent")
crash("noisy")
"""


def test_a_worker_that_dies_is_printed_by_ray_and_not_within_silence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOISY, ray.get_runtime_context().gcs_address],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    first, second = done.stdout.split("noisy\n")
    assert first == "silent\n"
    assert "raylet" in second


class Patient(tune.Trainable):
    """Takes its time, and says where it is."""

    def where(self) -> str:
        return str(ray.get_runtime_context().get_node_id())

    def step(self) -> dict[str, Any]:
        if self.config["waits"]:
            time.sleep(60)
        return {"done": True}


class Notes(tune.Callback):
    """Notes where each trial's actor is once it has started, and what an error stands for.

    The lists are the class's: Tune copies its callbacks by pickle.
    """

    nodes: ClassVar[list[str]] = []
    failures: ClassVar[list[Failure]] = []

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.nodes.append(ray.get(actor_of(trial).where.remote()))

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.failures.append(failure_of(error_of(trial), node=None, begun=True))


def fit(path: Path, resources: dict[str, float], *, waits: bool) -> int:
    """Run one trial, and return how many failed."""
    Notes.nodes.clear()
    Notes.failures.clear()
    checkpoints = tune.CheckpointConfig(checkpoint_at_end=False)
    results = tune.Tuner(
        tune.with_resources(Patient, resources),
        param_space={"waits": waits},
        run_config=tune.RunConfig(
            storage_path=str(path), callbacks=[Notes()], checkpoint_config=checkpoints, verbose=0
        ),
    ).fit()
    return int(results.num_errors)


def test_the_actor_of_a_trial_is_found(tmp_path: Path) -> None:
    assert fit(tmp_path, {"CPU": 1}, waits=False) == 0
    assert Notes.nodes == [ray.get_runtime_context().get_node_id()]


@pytest.mark.skipif(sys.platform != "linux", reason="Ray watches the memory of Linux only")
def test_an_actor_that_ray_kills_for_memory_fails_its_trial_and_not_the_run(
    tmp_path: Path,
) -> None:
    """On a node that kills whatever runs there every 6 s, sometimes before it has started."""
    eager = {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "6000"}
    with another_node("--num-cpus", "1", "--resources", '{"eager": 1}', **eager), death_by_memory():
        for _ in range(20):
            assert fit(tmp_path, {"CPU": 1, "eager": 1}, waits=True) == 1
            (failure,) = Notes.failures
            assert failure.cause == "out of memory", failure.traceback
            if Notes.nodes:
                break
    assert Notes.nodes, "it was always killed before it had started"
    assert failure.error.startswith("Ray killed the worker: ")
    assert "\n" not in failure.error


class Forgetful(FIFOScheduler):
    """Lets Tune forget each trial that has ended; notes how many it knows, and their results."""

    most: ClassVar[list[int]] = []
    imports_tune: ClassVar[list[bool]] = []

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        self.most.append(len(tune_controller.get_trials()))
        for trial in [trial for trial in tune_controller.get_trials() if trial.is_finished()]:
            forget(tune_controller, trial)
        chosen: Trial | None = super().choose_trial_to_run(tune_controller)
        return chosen

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.imports_tune.append(result["imports_tune"])


def test_tune_forgets_trials_and_runs_actors_that_are_not_its_own(tmp_path: Path) -> None:
    Forgetful.most.clear()
    Forgetful.imports_tune.clear()
    tuner = tune.Tuner(
        tune.with_resources(Patient, {"CPU": 1}),
        param_space={"waits": tune.grid_search([False] * 6)},
        tune_config=tune.TuneConfig(
            scheduler=Forgetful(),  # type: ignore[no-untyped-call]  # Ray has no types here
            max_concurrent_trials=1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path / "tune"),
            callbacks=[NoProgress()],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    with actors_of(ray.remote(Bare)):
        results = tuner.fit()
    assert Forgetful.imports_tune == [False] * 6
    assert max(Forgetful.most) <= 3
    assert len(results) <= 2
