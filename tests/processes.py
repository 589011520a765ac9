"""Processes on this machine, told apart by the environment that they started with."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

MARK = "SWEEP_TEST_MARK"


def marked(value: str) -> list[str]:
    """Return the command lines of the processes that started with `SWEEP_TEST_MARK=value`."""
    # `environ` and `cmdline` are None for a process of another user, and for a zombie.
    processes = psutil.process_iter(["environ", "cmdline"])
    return [
        " ".join(process.info["cmdline"])
        for process in processes
        if (process.info["environ"] or {}).get(MARK) == value and process.info["cmdline"]
    ]


def with_argument(word: str) -> list[int]:
    """Return the ids of the processes that were given this argument."""
    processes = psutil.process_iter(["cmdline"])
    return [process.pid for process in processes if word in (process.info["cmdline"] or [])]


def descendants_with(word: str) -> list[psutil.Process]:
    """Return the processes that this one or its descendants started with this argument."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            if word in process.cmdline():
                found.append(process)
    return found


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that leads a group, with the rest of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def joined(command: list[str], tries: int = 5) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a node of the Ray that runs here; yield its id, and the process that it ends with.

    Ray gives a node half a minute to start, too little on a busy machine; then it is started again.
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
                os.killpg(process.pid, signal.SIGTERM)  # Ray then does not wait for the node
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not _living_nodes() - before, 60)
            end_group(process)
    raise TimeoutError(f"no node in {tries} tries: {command}")


def wait_for_end_of_all(mark: str, seconds: float = 60.0) -> None:
    """Wait until no process has a mark; raise `TimeoutError` with the processes that still do."""
    try:
        wait_until(lambda: not marked(mark), seconds)
    except TimeoutError as error:
        raise TimeoutError("\n".join([str(error), *marked(mark)])) from None


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition holds; raise `TimeoutError` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


def _living_nodes() -> set[str]:
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
