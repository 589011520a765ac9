"""The job server of a Ray cluster's head node: its jobs, and its errors as sentences.

The server listens on port 8265 of the head node. Both sides need the extra `cluster`
(`ray[default]`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sweep.core.errors import ConfigError, StudyError, UserError

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
ENDED: frozenset[Status] = frozenset({"STOPPED", "SUCCEEDED", "FAILED"})
STOP_SECONDS = 30
"""How long a job may take to end after SIGTERM; Ray's default of 3 s is too short for a driver."""

_OVERRIDING = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray prefers to the address that it is given."""


class NoAnswer(UserError):
    """The head node does not answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as the head node knows it.

    Args:
        name: its id, the study's name.
        status: of the job.
        exit_code: of its process, None where it has none or it is not known.
        message: Ray's sentence on the status.
        metadata: what was given when it was submitted.
    """

    name: str
    status: Status
    exit_code: int | None
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it no longer runs."""
        return self.status in ENDED


class Head:
    """The job server at an address.

    Args:
        address: `http://HOST:8265`, or `https://`.

    `ray_version` is the version of Ray that the cluster runs.

    Raises:
        ConfigError: the address is none of a job server, or the extra `cluster` is missing.
        NoAnswer: nothing answers there.
        UserError: the server refuses the token.
    """

    def __init__(self, address: str) -> None:
        self.address = _checked(address)
        with _sentences(self.address), _undirected():
            self._client, self.ray_version = _client(self.address)

    def job(self, name: str) -> Job | None:
        """Return a job, None if there is none of that name."""
        return next((job for job in self.jobs() if job.name == name), None)

    def jobs(self) -> list[Job]:
        """Return all jobs that were submitted."""
        with _sentences(self.address):
            found = self._client.list_jobs()
        return [_job(details) for details in found if details.submission_id]

    def submit(
        self,
        name: str,
        *,
        command: str,
        folder: Path,
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> None:
        """Submit a job.

        Args:
            name: its id.
            command: a line of shell.
            folder: whose files become the job's current folder.
            environment: variables of the job.
            metadata: kept with the job.

        Raises:
            StudyError: a job has that name already.
        """
        stop = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}
        with _sentences(self.address):
            try:
                self._client.submit_job(
                    entrypoint=command,
                    submission_id=name,
                    runtime_env={"working_dir": str(folder), "env_vars": {**stop, **environment}},
                    metadata=dict(metadata),
                )
            except RuntimeError as error:
                if "already exists" in str(error):
                    raise StudyError(f"The cluster has a job {name!r} already.") from None
                raise

    def stop(self, name: str) -> None:
        """Ask a job to stop: SIGTERM, and SIGKILL half a minute later."""
        with _sentences(self.address):
            self._client.stop_job(name)

    def delete(self, name: str) -> None:
        """Forget a job that has ended, so that its name is free."""
        with _sentences(self.address):
            self._client.delete_job(name)

    def output(self, name: str) -> str:
        """Return what a job has printed so far."""
        with _sentences(self.address):
            return str(self._client.get_job_logs(name))

    async def stream(self, name: str) -> AsyncIterator[str]:
        """Yield what a job prints, from its beginning. The stream may end before the job does."""
        with _sentences(self.address):
            async for text in self._client.tail_job_logs(name):
                yield text


def _checked(address: str) -> str:
    """Return an address without a slash at its end; raise `ConfigError` for another kind."""
    if re.fullmatch(r"https?://[^/\s]+/?", address):
        return address.rstrip("/")
    raise ConfigError(
        f"--address is {address!r}, but must be that of the head's job server: http://HOST:8265."
    )


def _client(address: str) -> tuple[Any, str]:
    """Return Ray's client of a job server, and the version of Ray there."""
    try:
        import aiohttp  # noqa: F401  # what Ray's client needs to follow a job
        import requests  # noqa: F401

        from sweep.runners.ray.internals import job_client
    except ImportError as error:
        raise ConfigError(
            f"Jobs of a cluster need {error.name}, which is not installed. In sweep's repository: "
            "pip install '.[cluster]'"
        ) from None
    return job_client(address)


def _job(details: Any) -> Job:
    """Return a job from Ray's record of it."""
    return Job(
        name=details.submission_id,
        status=str(getattr(details.status, "value", details.status)),  # type: ignore[arg-type]
        exit_code=_exit_code(details),
        message=details.message or "",
        metadata=details.metadata or {},
    )


def _exit_code(details: Any) -> int | None:
    """Return the exit code of a job's process; Ray's message holds it where the record does not."""
    if details.driver_exit_code is not None:
        return int(details.driver_exit_code)
    match = re.search(r"exit(?:ed with)?(?: code| status)? (\d+)", details.message or "")
    return int(match[1]) if match else None


@contextlib.contextmanager
def _undirected() -> Iterator[None]:
    """Take the variables away that Ray prefers to a given address."""
    before = {name: os.environ.pop(name, None) for name in _OVERRIDING}
    try:
        yield
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})


@contextlib.contextmanager
def _sentences(address: str) -> Iterator[None]:
    """Turn errors of Ray's client into sentences."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Ray raises RuntimeError for most
        raise _sentence(address, error) from error


def _sentence(address: str, error: Exception) -> UserError:
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind == "AuthenticationError" or re.search(r"\b40[13]\b", text):
        given = os.environ.get("RAY_AUTH_MODE") == "token"
        what = "refuses this token" if given else "wants a token"
        return UserError(
            f"The head at {address} {what}. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN=TOKEN or "
            "RAY_AUTH_TOKEN_PATH=FILE, with the token that the cluster was started with."
        )
    if isinstance(error, OSError) or "connect" in text.lower():
        return NoAnswer(
            f"No head answers at {address}. `ray start --head` starts one, and prints its address "
            "for jobs. It has a job server where ray[default] is installed "
            "(in sweep's repository: pip install '.[cluster]')."
        )
    return UserError(f"The head at {address} refuses: {text[:500]}")
