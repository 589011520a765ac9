"""Nothing of a Ray that we started outlives its driver, however the driver ends.

A killed driver takes `gcs_server` and `raylet` along (Ray asks the kernel for that), but
its agents stay for a minute, and its workers until they notice. So what Ray starts here
bears a token in its environment, which its own children inherit, and a small process waits
for the driver to be gone and ends every bearer. That process runs this file by itself,
without the package, so that it is there before Ray is. Linux alone has `/proc`, and so a
guardian; elsewhere Ray is left to its own ways.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

TOKEN = "SWEEP_RAY_TOKEN"
KEPT = {"SPT_NOENV": "1"}
"""Tells setproctitle, which Ray's agents use, not to write a title over the environment."""
PATIENCE_SECONDS = 15.0
PROC = Path("/proc")


@contextlib.contextmanager
def guarded() -> Iterator[Mapping[str, str]]:
    """Yield a mark, as environment variables: its bearers end with this block or this process."""
    if not (PROC / "self" / "environ").exists():
        yield {}
        return
    token = secrets.token_hex(16)
    guardian = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, token],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal goes to all of its processes
    )
    try:
        yield {TOKEN: token, **KEPT}
    finally:
        guardian.communicate(timeout=2 * PATIENCE_SECONDS)  # closes the pipe


@contextlib.contextmanager
def bearing(mark: Mapping[str, str]) -> Iterator[None]:
    """Let what this process starts within the block bear a mark."""
    before = {name: os.environ.pop(name, None) for name in mark}
    os.environ.update(mark)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def bearers(mark: Mapping[str, str]) -> list[int]:
    """Return the processes that began with this mark in their environment."""
    if not mark:
        return []  # every process bears nothing
    wanted = {f"{name}={value}".encode() for name, value in mark.items() if name not in KEPT}
    found = []
    for folder in PROC.iterdir():
        with contextlib.suppress(OSError):  # another user's, or gone
            if folder.name.isdigit():
                theirs = (folder / "environ").read_bytes().split(b"\0")
                found += [int(folder.name)] * wanted.issubset(theirs)
    return found


def end_all(mark: Mapping[str, str]) -> None:
    """Kill the bearers until three looks find none: one that was being started is seen later."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    looks = 0
    while looks < 3 and time.monotonic() < deadline:
        found = bearers(mark)
        looks = 0 if found else looks + 1
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def wait_for_end_of(driver: int) -> None:
    """Return once the driver has closed its end of the pipe, or is gone.

    A process that it forked may hold that end open, hence the look at the parent.
    """
    while os.getppid() == driver:
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if readable and not sys.stdin.buffer.read(1):
            return


if __name__ == "__main__":
    wait_for_end_of(os.getppid())
    end_all({TOKEN: sys.argv[1]})
