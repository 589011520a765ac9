"""Processes with a mark end with the driver that started them, and no other processes do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sweep.runners.ray.guardian import PROC, TOKEN, marked
from tests.processes import wait_until, with_argument

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(
    not (PROC / "self/environ").exists(), reason="a guardian needs /proc"
)

DRIVER = """
import os, signal, subprocess, sys, time
from sweep.runners.ray.guardian import TOKEN, guarded

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
with guarded() as mark:
    # A daemon that a daemon started, in a session of its own, as Ray's workers may be.
    inner = "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    subprocess.run([sys.executable, "-c", inner], env={**os.environ, **mark})
    subprocess.Popen(["sleep", "60"], env={**os.environ, **mark})
    print(mark[TOKEN], flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def driver() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A driver with two marked processes, and its token."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    token = process.stdout.readline().strip()
    # `Popen` returns while the kernel still builds the new program's environment.
    wait_until(lambda: len(marked({TOKEN: token})) == 2)
    yield process, token
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_what_a_killed_driver_started_ends_and_nothing_else(
    driver: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, token = driver
    with subprocess.Popen(["sleep", "60"], env={**os.environ, TOKEN: f"{token}0"}) as other:
        process.send_signal(number)
        process.wait()
        wait_until(lambda: not marked({TOKEN: token}) and not with_argument(token))
        assert other.poll() is None
        other.kill()


def test_a_driver_that_ends_its_block_leaves_nothing(
    driver: tuple[subprocess.Popen[str], str],
) -> None:
    process, token = driver
    process.communicate("\n")
    assert process.returncode == 0
    assert not marked({TOKEN: token})
    assert not with_argument(token)


RAY = """
import sys
from sweep.runners.ray.cluster import cluster

with cluster(None):
    print("started", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_drivers_ray_ends_with_its_agents() -> None:
    """Agents give themselves a title, which would hide their environment if we let it."""
    process = subprocess.Popen(
        [sys.executable, "-c", RAY],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "started\n"
        wait_until(lambda: len(_agents(process.pid)) == 2, 60)
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not _of_session(process.pid))


def _agents(session: int) -> list[str]:
    return [name for name in _of_session(session) if name.endswith("Agent")]


def _of_session(session: int) -> list[str]:
    """Return the titles of the running processes of a session, whatever their environment."""
    titles = []
    for process in psutil.process_iter(["cmdline", "status"]):
        with contextlib.suppress(OSError):  # it has ended
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                titles.append((process.info["cmdline"] or [""])[0])
    return titles
