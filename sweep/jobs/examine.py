"""What the doctor says of a cluster behind a job server: it runs there, as a short job."""

from __future__ import annotations

import json
import secrets
import shlex
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from sweep.config.study import StudyConfig
from sweep.core.errors import SweepError
from sweep.doctor.finding import Finding
from sweep.jobs.head import Head, Job
from sweep.jobs.staging import CONFIG, check_places, stage

SECONDS = 120
POLL_SECONDS = 0.5


def examine(
    address: str, *, results: str, config: Path | None = None, wait_seconds: float = SECONDS
) -> Iterator[Finding]:
    """Yield whether the head answers, and what the doctor finds on the cluster.

    Args:
        address: of the head's job server.
        results: a place that all nodes should see.
        config: a TOML file whose data each node looks for.
        wait_seconds: how long the job may take.

    Raises:
        ConfigError: a place means another one on the cluster, or the config is wrong.
    """
    check_places(config, (), results)
    try:
        head = Head(address)
    except SweepError as error:
        yield Finding(check="head", state="wrong", seen=str(error))
        return
    ours = metadata.version("ray")
    same = head.ray_version == ours
    yield Finding(
        check="head",
        state="ok" if same else "wrong",
        seen=f"{head.address} answers; Ray {head.ray_version} there, {ours} here",
        cure="" if same else f"Install the same version: pip install ray=={head.ray_version}.",
    )
    with tempfile.TemporaryDirectory(prefix="sweep-job-") as staged:
        words = ["sweep", "doctor", "--address", "auto", "--results", results, "--json"]
        if config is not None:
            stage(StudyConfig.load(config), config.resolve().parent, Path(staged))
            words.insert(2, CONFIG)
        yield from _run(head, shlex.join(words), Path(staged), wait_seconds)


def _run(head: Head, command: str, folder: Path, wait_seconds: float) -> Iterator[Finding]:
    """Run the doctor as a job, yield its findings, and delete the job."""
    name = f"sweep-doctor-{secrets.token_hex(4)}"
    head.submit(name, command=command, folder=folder, environment={}, metadata={})
    job = _ended(head, name, wait_seconds)
    if job is None or not job.ended:
        head.stop(name)
        state = "is lost" if job is None else f"is {job.status.lower()}"
        yield Finding(
            check="job",
            state="wrong",
            seen=f"a job that looks at the cluster {state} after {wait_seconds:.0f} s",
            cure="See `ray status` on the head: a node may have no free processor.",
        )
        return
    output = head.output(name)
    head.delete(name)
    findings = _findings(output)
    if findings is None:
        cure = "Install the same version of sweep on every node, or start Ray from the image."
        seen = f"the job ended without a result: {' '.join(output.splitlines()[-3:])[-300:]}"
        yield Finding(check="job", state="wrong", seen=seen, cure=cure)
        return
    for finding in findings:
        yield Finding(**{**finding, "check": f"there: {finding['check']}"})


def _ended(head: Head, name: str, wait_seconds: float) -> Job | None:
    """Return a job when it has ended, or after the wait."""
    until = time.monotonic() + wait_seconds
    while True:
        job = head.job(name)
        if job is None or job.ended or time.monotonic() >= until:
            return job
        time.sleep(POLL_SECONDS)


def _findings(output: str) -> list[dict[str, Any]] | None:
    """Return the findings in what the doctor printed, None where there are none."""
    start = output.find("[\n")
    try:
        return list(json.loads(output[start:])) if start >= 0 else None
    except ValueError:
        return None
