"""Processes on this machine, told apart by the environment that they began with."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MARK = "SWEEP_TEST_MARK"


def marked(value: str) -> list[str]:
    """Return the command lines of processes that began with `SWEEP_TEST_MARK=value`."""
    mark = f"{MARK}={value}".encode()
    return [
        words
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and mark in _read(folder / "environ").split(b"\0")
        if (words := _read(folder / "cmdline").replace(b"\0", b" ").decode(errors="replace"))
    ]


def naming(word: str) -> list[str]:
    """Return the numbers of processes that were given this argument."""
    return [
        folder.name
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and word.encode() in _read(folder / "cmdline").split(b"\0")
    ]


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that leads a group, with the rest of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def joined(command: list[str], tries: int = 5) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a node of the Ray that runs here; yield its name, and the process that it dies with.

    Ray gives a node half a minute to start, which a busy machine may not; then it is started again.
    """
    before = _living_nodes()
    for _ in range(tries):
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(
                lambda process=process: (  # type: ignore[misc]  # mypy infers no default's type
                    process.poll() is not None or _living_nodes() - before
                ),
                90,
            )
            if new := _living_nodes() - before:
                yield next(iter(new)), process
                return
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # a node that says goodbye is not waited for
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not _living_nodes() - before, 60)
            end_group(process)
    raise TimeoutError(f"no node in {tries} tries: {command}")


def wait_for_end_of_all(mark: str, seconds: float = 60.0) -> None:
    """Wait until no process bears a mark; raise `TimeoutError` with those that still do."""
    try:
        wait_until(lambda: not marked(mark), seconds)
    except TimeoutError as error:
        raise TimeoutError("\n".join([str(error), *marked(mark)])) from None


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds; raise `TimeoutError` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


def _living_nodes() -> set[str]:
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone, or another user's
        return b""
