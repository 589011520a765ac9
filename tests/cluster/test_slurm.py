"""`cluster/slurm.sh` on a Slurm of two nodes, and its functions alone."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from sweep import Results
from tests.cluster import slurm, tiny
from tests.cluster.hosts import ROOT, Host, skip_unless_possible, two_hosts
from tests.processes import end_group, wait_until

SCRIPT = ROOT / "cluster" / "slurm.sh"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")


class Job:
    """The script as a job of one node, with stand-ins for the programs that it calls there.

    Args:
        folder: an empty one, the job's home and current folder.
    """

    def __init__(self, *, folder: Path) -> None:
        self.folder = folder
        self.number = 100_000 + secrets.randbelow(10_000_000)
        self.port = 20_000 + self.number % 10_000
        self.process: subprocess.Popen[bytes]

    def run(self, *, sweep: str, ray: str | None = None, state: str = "RUNNING") -> None:
        """Start the job.

        Args:
            sweep, ray: lines of shell that `sweep` and `ray` are; by default Ray's port is open.
            state: of the job, as Slurm says.
        """
        listen = f"import socket, time; s = socket.create_server(('127.0.0.1', {self.port})); "
        programs = {
            "ray": ray or f'exec {sys.executable} -I -c "{listen}time.sleep(60)"',
            "python": "cat >/dev/null; echo all nodes have joined",
            "sweep": sweep,
            "scontrol": f'echo scontrol "$@"; echo JobState={state}',
        }
        (self.folder / "bin").mkdir()
        for name, line in programs.items():
            (self.folder / "bin" / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
            (self.folder / "bin" / name).chmod(0o755)
        variables = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "SLURM_JOB_ID": str(self.number),
            "SLURM_JOB_NUM_NODES": "1",
            "SWEEP_HEAD_IP": "127.0.0.1",
        }
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", SCRIPT, "mine.toml"],
                cwd=self.folder,
                env=variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return what the job has printed."""
        return (self.folder / "output").read_text()

    def end(self) -> None:
        """End what is left of the job."""
        end_group(self.process)


@pytest.mark.slow
def test_a_job_that_slurm_ends_is_queued_again_and_finds_the_winner(
    nodes: tuple[Host, Host],
) -> None:
    one, two = nodes
    folder = one.folder.parent / "studies"
    folder.mkdir()
    (folder / "tiny.toml").write_text(tiny.TOML)
    results = folder / "results"

    job = _submit(one, folder)
    _wait(one, job, folder, lambda: tiny.probed(results) > 0, 300)
    assert two.processes("raylet"), "Ray does not run on the second node"
    one.run("scancel", "--signal=TERM", "--batch", job)
    _wait(
        one,
        job,
        folder,
        lambda: _field(one, job, "Restarts") == "1" and _field(one, job, "JobState") == "PENDING",
        120,
    )
    first = (folder / f"{job}.out").read_text()
    before = tiny.probed(results)
    assert before < tiny.CANDIDATES
    assert "2 of 2 nodes, 2 cores" in first
    assert "queued again" in first
    # Slurm would wait two minutes before the next attempt. It refuses one in the same second.
    one.run("scontrol", "update", f"JobId={job}", "StartTime=now+10")
    _wait(one, job, folder, lambda: _field(one, job, "JobState") in ENDED, 300)

    text = (folder / f"{job}.out").read_text()
    assert _field(one, job, "JobState") == "COMPLETED", text
    undisturbed = one.run(
        "sweep", "run", "tiny.toml", "--runner=local", "--results=undisturbed", folder=folder,
        timeout=300,
    )  # fmt: skip
    assert undisturbed.returncode == 0, undisturbed.stdout
    winner, expected = (
        Results(place / "tiny").outcome for place in (results, folder / "undisturbed")
    )
    assert winner is not None
    assert expected is not None
    assert winner.winner == expected.winner
    assert tiny.probed(results) == tiny.CANDIDATES, "a stage was repeated, or a candidate left out"
    for host in nodes:
        assert host.processes("raylet") == []
    assert list((one.folder / "home" / ".sweep").iterdir()) == []

    cancelled = _submit(one, folder, "name=other")
    _wait(one, cancelled, folder, (results / "other" / "events.jsonl").exists, 300)
    one.run("scancel", cancelled)
    wait_until(lambda: _field(one, cancelled, "JobState") == "CANCELLED", 60)
    assert _field(one, cancelled, "Restarts") == "0"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts that are the nodes of a Slurm."""
    skip_unless_possible()
    slurm.skip_unless_installed()
    first_job = 1000 + secrets.randbelow(60_000)
    # The hosts share /tmp. Real nodes do not, so each host gets its own folder for the job's Ray.
    shared = Path(f"/tmp/ray-{first_job}")
    shared.mkdir()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="slurm-") as folder,
            two_hosts(tmp_path / "hosts") as hosts,
        ):
            for host in hosts:
                own = host.folder / "job"
                own.mkdir()
                host.run("mount", "--bind", str(own), str(shared))
            with slurm.slurm(Path(folder), hosts, first_job):
                yield hosts
    finally:
        shared.rmdir()


def _submit(host: Host, folder: Path, *overrides: str) -> str:
    """Submit the study in a folder to both nodes; return the job."""
    words = ["sbatch", "--parsable", "--nodes=2", "--cpus-per-task=1"]
    words += [f"--output={folder}/%j.out", str(SCRIPT), "tiny.toml"]
    submitted = host.run(*words, f"--results={folder}/results", *overrides, folder=folder)
    job = submitted.stdout.strip()
    assert job.isdigit(), submitted.stdout
    return job


def _wait(host: Host, job: str, folder: Path, holds: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; raise with what Slurm and the job say if it does not in time.

    A job that has ended before that is not waited for.
    """
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: holds() or _field(host, job, "JobState") in ENDED, seconds)
    if not holds():
        output = folder / f"{job}.out"
        text = output.read_text() if output.exists() else "the job has written nothing"
        shown = host.run("scontrol", "show", "job", job).stdout
        raise TimeoutError(f"not within {seconds} s, or the job ended before:\n{shown}\n{text}")


def _field(host: Host, job: str, name: str) -> str:
    """Return a field of a job, as `scontrol` shows it."""
    shown = host.run("scontrol", "show", "job", job).stdout
    found = re.search(rf"\b{name}=(\S*)", shown)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "0"),
        ({"SLURM_GPUS_ON_NODE": "4"}, "4"),
        ({"SLURM_GPUS_ON_NODE": "a100:2"}, "2"),
        ({"SLURM_JOB_GPUS": "0,1,2"}, "3"),
        ({"SLURM_JOB_GPUS": "0-3,6"}, "5"),
        ({"SLURM_STEP_GPUS": "1", "SLURM_JOB_GPUS": "0,1"}, "1"),
        ({"SLURM_GPUS_ON_NODE": "1", "SLURM_JOB_GPUS": "0,1"}, "1"),
        ({"SLURM_JOB_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "0"}, "1"),
        ({"SLURM_JOB_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "0,1"}, "2"),
        ({"SLURM_GPUS_ON_NODE": "2", "CUDA_VISIBLE_DEVICES": "MIG-4a1b-0-9,MIG-4a1b-1-9"}, "2"),
        ({"SLURM_GPUS_ON_NODE": "2", "CUDA_VISIBLE_DEVICES": "NoDevFiles"}, "0"),
        ({"SLURM_GPUS_ON_NODE": "2", "CUDA_VISIBLE_DEVICES": ""}, "0"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, "0"),  # of the user's shell, not of the job
        ({"SWEEP_GPUS": "8"}, "8"),
    ],
)
def test_gpus_are_counted_from_the_variables_of_slurm(
    variables: Mapping[str, str], expected: str
) -> None:
    assert _call("gpus", variables) == expected


def test_cores_are_those_of_the_job_and_no_more_than_the_process_may_use() -> None:
    usable = len(os.sched_getaffinity(0))
    assert _call("cpus", {"SLURM_CPUS_ON_NODE": "1"}) == "1"
    assert _call("cpus", {"SLURM_CPUS_ON_NODE": str(usable + 7)}) == str(usable)
    assert _call("cpus", {}) == str(usable)


def test_an_image_is_run_by_apptainer_with_its_gpus_and_folders(tmp_path: Path) -> None:
    apptainer = tmp_path / "apptainer"
    apptainer.write_text('#!/bin/sh\necho "$@"\n')
    apptainer.chmod(0o755)
    variables = {"SWEEP_IMAGE": "sweep.sif", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert _call("in_environment ray start", variables) == "exec sweep.sif ray start"
    variables |= {"SWEEP_BIND": "/data", "SLURM_GPUS_ON_NODE": "1"}
    command = "exec --nv --bind /data sweep.sif ray start"
    assert _call("in_environment ray start", variables) == command


def test_the_script_without_a_config_or_outside_slurm_says_how_to_call_it() -> None:
    for words in ([], ["mine.toml"]):
        ran = subprocess.run(["bash", SCRIPT, *words], capture_output=True, text=True)
        assert ran.returncode == 2
        assert "Usage: sbatch" in ran.stderr


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job of one node without Slurm."""
    made = Job(folder=tmp_path)
    yield made
    made.end()


def test_a_study_that_stops_by_itself_is_not_queued_again(job: Job) -> None:
    job.run(sweep='echo sweep "$@"; exit 75')
    assert job.process.wait(timeout=30) == 75
    assert f"sweep run mine.toml --or-resume --address 127.0.0.1:{job.port}" in job.output()
    assert "scontrol requeue" not in job.output()


def test_a_signal_of_slurm_reaches_the_study_and_queues_the_job_again(job: Job) -> None:
    job.run(sweep='trap "exit 75" TERM; touch began; while true; do sleep 0.1; done')
    wait_until((job.folder / "began").exists, 30)
    job.process.terminate()
    assert job.process.wait(timeout=30) == 75
    assert f"scontrol requeue {job.number}" in job.output()
    assert list((job.folder / ".sweep").iterdir()) == []


def test_a_job_that_its_user_cancels_is_not_queued_again(job: Job) -> None:
    job.run(
        sweep='trap "exit 75" TERM; touch began; while true; do sleep 0.1; done', state="CANCELLED"
    )
    wait_until((job.folder / "began").exists, 30)
    job.process.terminate()
    assert job.process.wait(timeout=30) == 75
    assert "scontrol requeue" not in job.output()


def test_a_signal_while_ray_starts_queues_the_job_again(job: Job) -> None:
    job.run(sweep="touch began", ray="touch starts; exec sleep 60")
    wait_until((job.folder / "starts").exists, 30)
    job.process.terminate()
    assert job.process.wait(timeout=30) == 75
    assert f"scontrol requeue {job.number}" in job.output()
    assert not (job.folder / "began").exists()


def test_a_ray_that_does_not_start_is_not_swallowed(job: Job) -> None:
    job.run(sweep="touch began", ray="echo no port is free >&2; exit 3")
    assert job.process.wait(timeout=30) == 1
    assert "no port is free" in job.output()
    assert "Ray did not start" in job.output()
    assert not (job.folder / "began").exists()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_of_the_job_is_that_of_the_study(job: Job, code: int) -> None:
    job.run(sweep=f"exit {code}")
    assert job.process.wait(timeout=30) == code


@pytest.mark.parametrize(
    "script", ["cluster/slurm.sh", "cluster/ray-job.sh", "tests/cluster/image.sh"]
)
def test_scripts_have_no_errors_of_syntax(script: str) -> None:
    checker = shutil.which("shellcheck")
    command = [checker, "--severity=warning"] if checker else ["bash", "-n"]
    checked = subprocess.run([*command, ROOT / script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _call(command: str, variables: Mapping[str, str]) -> str:
    """Return what a function of the script prints."""
    ran = subprocess.run(
        ["bash", "-c", f"source {SCRIPT}; {command}"],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()
