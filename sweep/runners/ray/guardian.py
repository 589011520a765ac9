"""Ends every process of a Ray that we started when its driver ends, even by a kill -9.

The kernel ends `gcs_server` and `raylet` together with a killed driver (Ray asks for that), but
Ray's agents stay for a minute, and its workers until they notice. So the processes that Ray starts
here carry a token in their environment, which their children inherit. A small process, the
guardian, waits until the driver is gone and kills every process that carries the token.

The guardian runs this file with `python -I -S`: only the standard library, no site-packages, no
folder of the user. It reads `/proc` itself, and not through psutil, for that reason: it has to work
where a package is found through PYTHONPATH alone, or breaks as it is imported, and it starts in
milliseconds, before Ray does. Only Linux has `/proc`; on other systems there is no guardian, and
Ray ends its processes in its own time.
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
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}
"""Keeps setproctitle, which Ray's agents use, from writing a title over the environment."""
PATIENCE_SECONDS = 15.0
PROC = Path("/proc")


@contextlib.contextmanager
def guarded() -> Iterator[Mapping[str, str]]:
    """Yield a mark: environment variables whose carriers end with this block or this process."""
    if not (PROC / "self" / "environ").exists():
        yield {}
        return
    token = secrets.token_hex(16)
    guardian = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, token],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # else Ctrl-C in a terminal would end the guardian as well
    )
    try:
        yield {TOKEN: token, **KEEP_ENVIRONMENT}
    finally:
        guardian.communicate(timeout=2 * PATIENCE_SECONDS)  # closes the pipe, and waits


@contextlib.contextmanager
def in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the block: the processes that it starts inherit them."""
    before = {name: os.environ.pop(name, None) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)  # a trial in this process may have removed it
            if value is not None:
                os.environ[name] = value


def marked(mark: Mapping[str, str]) -> list[int]:
    """Return the ids of the processes that started with this mark in their environment."""
    if not mark:
        return []  # or all processes would match
    wanted = {
        f"{name}={value}".encode() for name, value in mark.items() if name not in KEEP_ENVIRONMENT
    }
    pids = []
    for folder in PROC.iterdir():
        with contextlib.suppress(OSError):  # another user's process, or one that is gone
            if folder.name.isdigit():
                environment = (folder / "environ").read_bytes().split(b"\0")
                pids += [int(folder.name)] * wanted.issubset(environment)
    return pids


def end_all(mark: Mapping[str, str]) -> None:
    """Kill the marked processes until none is found three times in a row.

    A process that is just being started shows its mark a moment later.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    empty_looks = 0
    while empty_looks < 3 and time.monotonic() < deadline:
        pids = marked(mark)
        empty_looks = 0 if pids else empty_looks + 1
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def wait_for_end_of(driver: int) -> None:
    """Return once the driver has closed its end of the pipe, or is gone.

    A process that the driver forked may keep that end open, so the parent is checked as well.
    """
    while os.getppid() == driver:
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if readable and not sys.stdin.buffer.read(1):
            return


if __name__ == "__main__":
    wait_for_end_of(os.getppid())
    end_all({TOKEN: sys.argv[1]})
