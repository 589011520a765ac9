"""Submit a study to a cluster as a job. Submitting it again attaches to it, or goes on with it."""

from __future__ import annotations

import secrets
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError, StudyError, UserError
from sweep.core.plugins import importable
from sweep.jobs.first_step import CHECKED, python_version
from sweep.jobs.head import Head, Job
from sweep.jobs.staging import CONFIG, check_places, stage
from sweep.launch.launch import plugins_folder
from sweep.launch.preflight import check_without_data
from sweep.runners.devices import check_wait
from sweep.runners.interrupt import EXIT_RESUMABLE

CHECK_SECONDS = 120
POLL_SECONDS = 0.5
ATTEMPT = "attempt     "
"""How the line begins that a job prints first; the rest of the line names the attempt."""
DIGEST, RESULTS, WORD = "sweep.digest", "sweep.results", "sweep.attempt"
"""Keys of a job's metadata: of the staged files, where the results are, and of the attempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """A study that is a job of a cluster.

    Args:
        name: of the study and of the job.
        attempt: the word that the job prints first.
        state: `attached` to a job that was there, `checked`, or `waiting` for its first step.
        line: what the first step checked, "" until it has.
    """

    name: str
    attempt: str
    state: str
    line: str = ""


def submit(
    path: Path,
    *,
    address: str,
    results: str,
    overrides: Sequence[str] = (),
    plugins: Path | None = None,
    environment: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = lambda sentence: None,
    wait_seconds: float = CHECK_SECONDS,
) -> Submitted:
    """Submit a study, and wait for the checks of the job's first step.

    The same study twice: the second call attaches to the job that runs. A job that has ended is
    submitted again, and goes on where it stopped.

    Args:
        path: of a TOML file.
        address: of the head's job server.
        results: a place that all nodes see.
        overrides: `key=value`.
        plugins: the folder of the modules that the config names; by default that of the file.
        environment: variables of the job.
        warn: takes warnings about the config.
        wait_seconds: how long to wait for the first step.

    Raises:
        UserError: the config is wrong, the head refuses, or the first step does; no job is left.
    """
    check_places(path, overrides, results)
    config = StudyConfig.load(path, overrides, warn=warn)
    if config.resources.runner == "local":
        raise ConfigError(
            'resources.runner is "local", and a study on a cluster runs on Ray. Take it out.'
        )
    check_wait(config.resources.model_copy(update={"address": "auto"}))  # the job's address
    modules = plugins_folder(path, plugins)
    importable(modules)
    check_without_data(config)
    head = Head(address)
    _check_ray(head)
    with tempfile.TemporaryDirectory(prefix="sweep-job-") as staged:
        folder = Path(staged)
        digest = stage(config, modules, folder)
        known = {DIGEST: digest, RESULTS: results}
        running = head.job(config.name)
        if running is not None and not running.ended:
            return _attached(running, known)
        if running is not None:
            head.delete(config.name)
        attempt = secrets.token_hex(4)
        head.submit(
            config.name,
            command=_command(results, attempt),
            folder=folder,
            environment=environment or {},
            metadata={**known, WORD: attempt},
        )
    return _checked(head, config.name, attempt, wait_seconds)


def output_of(text: str, attempt: str) -> str:
    """Return what an attempt of a job printed, without what earlier attempts did."""
    _, line, rest = text.rpartition(f"{ATTEMPT}{attempt}\n")
    return rest if line else ""


def stop(head: Head, name: str, *, wait_seconds: float) -> Job:
    """Ask a job to stop, and return it as it is when it has ended, or after the wait.

    Raises:
        StudyError: there is no such job, or it has ended.
    """
    job = head.job(name)
    if job is None:
        names = ", ".join(sorted(job.name for job in head.jobs())) or "none"
        raise StudyError(f"The cluster at {head.address} has no job {name!r}. Its jobs: {names}.")
    if job.ended:
        raise StudyError(f"The job {name!r} has ended already: {job.status.lower()}.")
    head.stop(name)
    until = time.monotonic() + wait_seconds
    while not job.ended and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        job = head.job(name) or job
    return job


def exit_code(job: Job) -> int:
    """Return the exit code of a study that is a job: 75 where it was stopped or killed."""
    if job.status == "SUCCEEDED":
        return 0
    code = job.exit_code
    if job.status == "STOPPED" or code is None or code < 0 or code > 128:
        return EXIT_RESUMABLE
    return code


def _check_ray(head: Head) -> None:
    """Raise `UserError` where the cluster has another version of Ray."""
    ours = metadata.version("ray")
    if head.ray_version != ours:
        raise UserError(
            f"The cluster at {head.address} runs Ray {head.ray_version}, and this machine has Ray "
            f"{ours}. Install the same version on both sides: pip install ray=={head.ray_version}."
        )


def _attached(job: Job, known: Mapping[str, str]) -> Submitted:
    """Return a job that runs; raise `StudyError` where it is another study."""
    if differ := [key for key, value in known.items() if job.metadata.get(key) != value]:
        what = "other --results" if differ == [RESULTS] else "another config"
        raise StudyError(
            f"A job {job.name!r} runs with {what}. Stop it (sweep stop {job.name} --address ...), "
            "or submit this study under another name: name=NAME."
        )
    return Submitted(name=job.name, attempt=job.metadata.get(WORD, ""), state="attached")


def _command(results: str, attempt: str) -> str:
    """Return the command that the job runs on the head node."""
    words = ["sweep", "job", CONFIG, "--results", results, "--attempt", attempt]
    words += ["--python", python_version(), "--version", metadata.version("sweep")]
    return shlex.join(words)


def _checked(head: Head, name: str, attempt: str, wait_seconds: float) -> Submitted:
    """Wait for the first step; raise its sentence, and delete the job, where it failed."""
    until = time.monotonic() + wait_seconds
    while True:
        job = head.job(name)
        text = output_of(head.output(name), attempt) if job and job.status != "PENDING" else ""
        line = next((line for line in text.splitlines() if line.startswith(CHECKED)), "")
        if line:
            return Submitted(name=name, attempt=attempt, state="checked", line=line)
        if job is None:
            raise StudyError(f"The cluster at {head.address} lost the job {name!r}. Submit again.")
        if job.ended:
            whole = head.output(name)
            head.delete(name)
            raise UserError(_why(job, output_of(whole, attempt) or whole))
        if time.monotonic() >= until:
            return Submitted(name=name, attempt=attempt, state="waiting")
        time.sleep(POLL_SECONDS)


def _why(job: Job, text: str) -> str:
    """Return why a job's first step failed."""
    lines = text.splitlines()
    begins = [n for n, line in enumerate(lines) if line.startswith("Error: ")]
    if begins:
        return " ".join(line.strip() for line in lines[begins[-1] :]).removeprefix("Error: ")
    if job.exit_code == 127 or "sweep: not found" in text or "No such command" in text:
        return (
            "The head node's environment has no `sweep`, or an older one. Install the same version "
            "on every node (in its repository: pip install '.[cluster]'), or start Ray from the "
            "image."
        )
    last = " ".join(lines[-5:]) or job.message
    return f"The job ended before its first step was done: {last[-500:]}"
