"""Nodes that go away: their trials move, and only what is theirs is counted against them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from sweep.core.events import TrialFailed
from sweep.log.study_folder import read_log
from sweep.storage.location import locate
from sweep.tables.results import Results
from tests.processes import end_group, joined, wait_until

pytestmark = pytest.mark.usefixtures("ray_cluster")

ROOT = Path(__file__).parents[3]
RAY = str(Path(sys.executable).with_name("ray"))

PATIENT = """
import os, time
from pathlib import Path
import ray
from sweep import Measure, Observation

def trial(config, context):
    folder = Path(context.folder)
    node = ray.get_runtime_context().get_node_id()
    (folder / "worker.txt").write_text(f"{node} {os.getpid()}")
    step = 0
    while not (folder.parent / "go").exists():
        step += 1
        yield Observation(stage="pretrain", step=step, fraction=0.5)
        time.sleep(0.2)
    number = config.options["number"]
    yield Observation(stage="measured", step=step, measures=(Measure(name="alpha", value=number),))
    accuracy = Measure(name="accuracy", value=0.1 * number)
    yield Observation(stage="probed", step=step, measures=(accuracy,))
"""

CONFIG = """
name = "moving"
trial = "patient:trial"
[space.axes]
"options.number" = [NUMBERS]
[rule]
name = "all"
[resources]
parallel = PARALLEL
retries = 1
"""


@pytest.fixture
def second_node() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A node of one core, and the process that it dies with."""
    words = ["start", "--address", ray.get_runtime_context().gcs_address, "--num-cpus", "1"]
    with joined([str(Path(sys.executable).with_name("ray")), *words, "--block"]) as found:
        yield found


def test_a_lost_node_costs_no_retry_and_a_dead_worker_one(
    tmp_path: Path, second_node: tuple[str, subprocess.Popen[bytes]]
) -> None:
    node, raylet = second_node
    cores = int(ray.cluster_resources()["CPU"])
    numbers = ", ".join(str(number) for number in range(1, cores + 1))
    (tmp_path / "patient.py").write_text(PATIENT, encoding="utf-8")
    config = CONFIG.replace("NUMBERS", numbers).replace("PARALLEL", str(cores))
    (tmp_path / "moving.toml").write_text(config, encoding="utf-8")
    words = ["run", str(tmp_path / "moving.toml"), "--results", str(tmp_path)]
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-m", "sweep.cli", *words, "--address", address],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    trials = tmp_path / "moving" / "trials"
    try:
        wait_until(lambda: len(workers(trials)) == cores, 180)
        (moved,) = [name for name, (where, _) in workers(trials).items() if where == node]
        killed, (_, pid) = next((n, w) for n, w in workers(trials).items() if w[0] != node)
        os.kill(pid, signal.SIGKILL)
        os.killpg(raylet.pid, signal.SIGKILL)
        wait_until(lambda: failures(tmp_path).keys() >= {moved, killed}, 120)
        (trials / "go").touch()
        said, _ = driver.communicate(timeout=120)
    finally:
        end_group(driver)
    assert driver.returncode == 0, said
    assert failures(tmp_path) == {moved: ["node lost"], killed: ["worker died"]}
    rows = {row["trial_id"]: row for row in Results(tmp_path / "moving").trials.to_pylist()}
    assert {row["status"] for row in rows.values()} == {"probed"}
    attempts = {name: row["attempt"] for name, row in rows.items()}
    assert attempts == {name: 1 + (name in (moved, killed)) for name in rows}
    assert "2 attempts: 1 " in said
    assert "raylet" not in said, "Ray tells of its own nodes amid what we print"
    assert "\x1b" not in said


WAITING = """
name = "moving"
trial = "patient:trial"
[space.axes]
"options.number" = [1]
[rule]
name = "all"
[resources]
parallel = 1
retries = 0
wait = true
cpu = CORES
"""


@pytest.mark.slow
def test_a_trial_waits_for_a_node_and_leaves_one_that_is_drained(tmp_path: Path) -> None:
    address = ray.get_runtime_context().gcs_address
    cores = 1 + int(ray.cluster_resources()["CPU"])
    (tmp_path / "patient.py").write_text(PATIENT, encoding="utf-8")
    (tmp_path / "moving.toml").write_text(WAITING.replace("CORES", str(cores)), encoding="utf-8")
    words = ["run", str(tmp_path / "moving.toml"), "--results", str(tmp_path)]
    node = [RAY, "start", "--address", address, "--num-cpus", str(cores), "--block"]
    printed = (tmp_path / "printed").open("w+", encoding="utf-8")
    driver = subprocess.Popen(
        [sys.executable, "-m", "sweep.cli", *words, "--address", address],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=printed,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    trials = tmp_path / "moving" / "trials"
    lines = f"1 of 1 trials wait for nodes (resources.wait). Each needs {cores} CPU and 0 GPU"
    try:
        wait_until(lambda: lines in (tmp_path / "printed").read_text(), 120)
        with joined(node) as (first, _), joined(node) as (second, _):
            wait_until(lambda: workers(trials), 120)
            ((begun, _),) = workers(trials).values()
            assert begun in (first, second)
            drain = [RAY, "drain-node", "--address", address, "--node-id", begun]
            drain += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a test"]
            subprocess.run([*drain, "--deadline-remaining-seconds", "600"], check=True)
            (other,) = {first, second} - {begun}
            wait_until(lambda: [node for node, _ in workers(trials).values()] == [other], 120)
            (trials / "go").touch()
            assert driver.wait(timeout=120) == 0, (tmp_path / "printed").read_text()
    finally:
        end_group(driver)
        printed.close()
    assert failures(tmp_path) == {next(iter(failures(tmp_path))): ["node lost"]}
    (row,) = Results(tmp_path / "moving").trials.to_pylist()
    assert (row["status"], row["attempt"]) == ("probed", 2)


def workers(trials: Path) -> dict[str, tuple[str, int]]:
    """Return the node and process of each trial that is at work."""
    found = {}
    for path in trials.glob("*/worker.txt"):
        node, _, pid = path.read_text().partition(" ")
        if pid:
            found[path.parent.name] = (node, int(pid))
    return found


def failures(results: Path) -> dict[str, list[str]]:
    """Return the causes of each trial's failures."""
    found: dict[str, list[str]] = {}
    for event in read_log(locate(results / "moving")):
        if isinstance(event, TrialFailed):
            found.setdefault(event.trial_id, []).append(event.failure.cause)
    return found
