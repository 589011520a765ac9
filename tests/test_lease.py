"""One driver at a time; the others are told who that is, and how long ago its heart beat."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep import lease
from sweep.errors import StudyError
from sweep.lease import DRIVER, Lease, driver

HOLD = """
import sys
from pathlib import Path
from sweep.lease import Lease
lease = Lease(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_driver_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        os.utime(tmp_path / DRIVER, (time.time() - 1000, time.time() - 1000))
        who = rf"driven already, by process {first.pid} on {os.uname().nodename}, since .*"
        with pytest.raises(StudyError, match=who + r"heartbeat is 100\d s old.*sweep stop"):
            Lease(tmp_path)
        seen = driver(tmp_path)
        assert seen is not None
        assert seen.pid == first.pid
        first.kill()
    assert (tmp_path / DRIVER).exists(), "a killed driver leaves its note"
    assert driver(tmp_path) is None, "which does not count"
    mine = Lease(tmp_path)
    found = driver(tmp_path)
    assert found is not None
    assert found.pid == os.getpid()
    mine.release()
    mine.release()
    assert driver(tmp_path) is None


def test_two_leases_in_one_process_are_two_drivers(tmp_path: Path) -> None:
    mine = Lease(tmp_path)
    with pytest.raises(StudyError, match=f"by process {os.getpid()}"):
        Lease(tmp_path)
    mine.release()


def test_a_driver_goes_on_saying_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    mine = Lease(tmp_path)
    for _ in range(3):
        (tmp_path / DRIVER).unlink(missing_ok=True)
        deadline = time.monotonic() + 30
        while driver(tmp_path) is None:
            assert time.monotonic() < deadline
    mine.release()
    assert not (tmp_path / DRIVER).exists()


def test_a_heart_goes_on_beating_when_a_note_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    folder = tmp_path / "study"
    folder.mkdir()
    mine = Lease(folder)
    folder.rename(tmp_path / "gone")
    time.sleep(0.1)
    (tmp_path / "gone").rename(folder)
    (folder / DRIVER).unlink()
    deadline = time.monotonic() + 30
    while driver(folder) is None:
        assert time.monotonic() < deadline
    mine.release()
