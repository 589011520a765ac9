"""One driver at a time; the others are told who that is, and how long ago its heart beat."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweep.core.errors import Resumable, StudyError
from sweep.storage import lease
from sweep.storage.lease import NOTE, LeaseHolder, ObjectLease, holder_of, take
from sweep.storage.location import Location, locate
from tests.object_store import Road

HOLD = """
import sys
from sweep.storage.lease import take
from sweep.storage.location import locate
lease = take(locate(sys.argv[1]))
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
        os.utime(tmp_path / NOTE, (time.time() - 1000, time.time() - 1000))
        who = rf"driven already, by process {first.pid} on {os.uname().nodename}, since .*"
        with pytest.raises(StudyError, match=who + r"heartbeat is 100\d s old.*sweep stop"):
            take(locate(tmp_path))
        seen = holder_of(locate(tmp_path))
        assert seen is not None
        assert seen.pid == first.pid
        first.kill()
    assert (tmp_path / NOTE).exists(), "a killed driver leaves its note"
    assert holder_of(locate(tmp_path)) is None, "which does not count"
    mine = take(locate(tmp_path))
    found = holder_of(locate(tmp_path))
    assert found is not None
    assert found.pid == os.getpid()
    mine.release()
    mine.release()
    assert holder_of(locate(tmp_path)) is None


def test_two_leases_in_one_process_are_two_drivers(tmp_path: Path) -> None:
    mine = take(locate(tmp_path))
    with pytest.raises(StudyError, match=f"by process {os.getpid()}"):
        take(locate(tmp_path))
    mine.release()


def test_a_driver_goes_on_saying_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    mine = take(locate(tmp_path))
    for _ in range(3):
        (tmp_path / NOTE).unlink(missing_ok=True)
        deadline = time.monotonic() + 30
        while holder_of(locate(tmp_path)) is None:
            assert time.monotonic() < deadline
    mine.release()
    assert not (tmp_path / NOTE).exists()


def test_a_heart_goes_on_beating_when_a_note_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    folder = tmp_path / "study"
    folder.mkdir()
    mine = take(locate(folder))
    folder.rename(tmp_path / "gone")
    time.sleep(0.1)
    (tmp_path / "gone").rename(folder)
    (folder / NOTE).unlink()
    deadline = time.monotonic() + 30
    while holder_of(locate(folder)) is None:
        assert time.monotonic() < deadline
    mine.release()


# On an object store ------------------------------------------------------------------


def object_lease(folder: Location) -> ObjectLease:
    """Return a lease whose heartbeats the test may send itself."""
    store = folder.conditional
    assert store is not None
    return ObjectLease(folder, store)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_study_on_an_object_store_has_one_driver(bucket: Location) -> None:
    assert holder_of(bucket) is None
    mine = take(bucket)
    found = holder_of(bucket)
    assert found is not None
    assert found.pid == os.getpid()
    who = rf"driven already, by process {os.getpid()} on {os.uname().nodename}, since .*"
    with pytest.raises(StudyError, match=who + r"heartbeat is \d s old.*free in \d+ s"):
        take(bucket)
    mine.check()
    mine.release()
    mine.release()
    assert holder_of(bucket) is None
    take(bucket).release()


def test_a_driver_killed_on_this_machine_is_not_waited_for(bucket: Location) -> None:
    command = [sys.executable, "-c", HOLD, str(bucket)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match=rf"by process {first.pid} on"):
            take(bucket)
        first.kill()
    assert holder_of(bucket) is None
    take(bucket).release()


def test_a_driver_elsewhere_counts_as_dead_when_it_was_silent_for_long(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = LeaseHolder(host="elsewhere", pid=1, time=0.0, machine="another", token="x")
    (bucket / NOTE).write(other.to_bytes())
    with pytest.raises(StudyError, match="by process 1 on elsewhere"):
        take(bucket)
    assert holder_of(bucket) == other
    monkeypatch.setattr(lease, "DEAD_SECONDS", 0.0)
    assert holder_of(bucket) is None
    mine = take(bucket)
    mine.check()
    mine.release()


def test_a_driver_whose_study_was_taken_over_notices_at_its_next_heartbeat(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "DEAD_SECONDS", 0.0)
    asleep = object_lease(bucket)
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    new = take(bucket)
    monkeypatch.setattr(lease, "DEAD_SECONDS", 60.0)
    asleep._beat()
    with pytest.raises(Resumable, match=r"Another driver has taken s3://.* over while .* silent"):
        asleep.check()
    asleep.release()
    new.check()
    assert holder_of(bucket) is not None, "and leaves the new one's lease alone"
    new.release()


def test_of_many_that_want_a_study_one_gets_it(bucket: Location) -> None:
    (bucket / NOTE).write(b"{}")

    def attempt(_: int) -> ObjectLease | None:
        try:
            return object_lease(bucket)
        except StudyError:
            return None

    with ThreadPoolExecutor(4) as pool:
        got = [one for one in pool.map(attempt, range(4)) if one is not None]
    holders = [one for one in got if _holds(one)]
    assert len(holders) == 1
    for one in got:
        one.release()


def _holds(one: ObjectLease) -> bool:
    one._beat()
    try:
        one.check()
    except Resumable:
        return False
    return True


def test_heartbeats_whose_answers_get_lost_are_known_again(
    road: Road, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    mine = object_lease(locate(str(bucket)))
    road.lose = lambda method, path: method == "PUT"
    with pytest.raises(OSError, match="cannot be used"):
        mine._beat()
    road.lose = lambda method, path: False
    mine._beat()
    mine._beat()
    mine.check()
    mine.release()


def test_a_heart_beats_on_an_object_store_too(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    mine = take(bucket)

    def beaten() -> bool:
        found = holder_of(bucket)
        return found is not None and found.beats >= 2

    wait_until(beaten)
    mine.release()
