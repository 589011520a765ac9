"""A log of objects: what was acknowledged is there once, whoever reads or writes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from sweep.core.errors import DamagedLog, Resumable, StudyError, StudyWarning
from sweep.core.records import Event
from sweep.log import s3_log
from sweep.log.file_log import EVENTS, create, encode, end, read, salvage, scan
from sweep.log.s3_log import SEGMENTS, ObjectLog
from sweep.storage import disk as files
from sweep.storage import lease
from sweep.storage.disk import Place
from tests.object_store import Road


def event(seq: int, **payload: object) -> Event:
    return Event(seq=seq, time=float(seq), kind="start", trial_id="t", payload=payload)


def append(folder: Place, count: int) -> None:
    with ObjectLog(folder) as log:
        for seq in range(log.seq + 1, log.seq + 1 + count):
            log.append(event(seq))


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_log, "SEGMENT", 5)


@pytest.fixture
def folder(bucket: Place) -> Place:
    return create(bucket, "study")


# Segments ----------------------------------------------------------------------------


def test_a_log_is_read_from_anywhere_whatever_is_in_segments(folder: Place) -> None:
    path = folder / EVENTS
    for count in (3, 2, 8):
        append(folder, count)
        known = end(path)
        assert files.names(path / SEGMENTS) == [f"{n:08}.jsonl" for n in range(known // 5)]
        for first in {0, 1, 4, 5, 6, known - 1, known} & set(range(known + 1)):
            seen = list(scan(path, offset=first, seq=first))
            assert seen == [(event(seq), seq + 1) for seq in range(first, known)]
        assert [one.seq for one, _ in scan(path, offset=2, seq=2, end=known - 1)] == list(
            range(2, known - 1)
        )


def test_a_long_log_is_read_with_few_requests(road: Road, folder: Place) -> None:
    folder = files.place(str(folder))
    append(folder, 43)
    road.seen.clear()
    assert len(read(folder / EVENTS)[0]) == 43
    assert len([path for method, path in road.seen if "list-type" not in path]) == 8 + 3
    road.seen.clear()
    assert end(folder / EVENTS) == 43
    assert len(road.seen) == 2


@pytest.mark.parametrize("harm", ["missing", "cut", "flipped", "alien"])
def test_a_segment_that_cannot_be_used_is_made_up_for_from_its_events(
    folder: Place, harm: str
) -> None:
    append(folder, 12)
    segment = folder / EVENTS / SEGMENTS / "00000001.jsonl"
    data = files.read(segment)
    if harm == "missing":
        files.remove(folder / EVENTS / SEGMENTS / "00000000.jsonl")
    elif harm == "cut":
        files.write(segment, data[: data[:-1].rfind(b"\n") + 1])
    elif harm == "flipped":
        files.write(segment, data.replace(b"{", b"\xff"))
    else:
        files.write(segment, files.read(folder / EVENTS / SEGMENTS / "00000000.jsonl"))
    assert read(folder / EVENTS)[0] == [event(seq) for seq in range(12)]
    with ObjectLog(folder) as log:
        log.append(event(12))
    assert files.exists(folder / EVENTS / SEGMENTS / "00000000.jsonl"), "the driver puts it again"
    assert read(folder / EVENTS)[0] == [event(seq) for seq in range(13)]


def test_a_reader_that_races_with_the_driver_sees_every_event_once(folder: Place) -> None:
    append(folder, 8)
    reader = scan(folder / EVENTS)
    seen = list(islice(reader, 4))
    append(folder, 9)
    seen += reader
    assert seen == [(event(seq), seq + 1) for seq in range(8)]
    seen += scan(folder / EVENTS, offset=8, seq=8)
    assert seen == [(event(seq), seq + 1) for seq in range(17)]


def test_events_that_become_a_segment_between_two_listings_are_not_missed(
    folder: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(folder, 8)
    names, calls = files.names, iter(range(10))

    def late(folder: Place, **which: str) -> list[str]:
        found = names(folder, **which)  # type: ignore[arg-type]  # `after` alone
        if next(calls) == 0:
            monkeypatch.setattr(files, "names", names)
            append(folder.parent.parent, 9)
        return found

    monkeypatch.setattr(files, "names", late)
    assert [one.seq for one, _ in scan(folder / EVENTS)] == list(range(17))


# Damage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("harm", "why"),
    [("missing", "it is missing"), ("torn", "Unterminated|Expecting"), ("alien", "event 3 stands")],
)
def test_a_damaged_event_is_named_and_what_stands_before_it_can_be_read(
    folder: Place, harm: str, why: str
) -> None:
    append(folder, 4)
    place = folder / EVENTS / "0000000002.json"
    if harm == "missing":
        files.remove(place)
    else:
        files.write(place, encode(event(3)) if harm == "alien" else encode(event(2))[:20])
    said = rf"events.jsonl is damaged at event 2: .*({why}).*restore 0000000002.json from a copy"
    with pytest.raises(DamagedLog, match=said):
        read(folder / EVENTS)
    with pytest.raises(DamagedLog, match=said):
        ObjectLog(folder)
    with pytest.warns(StudyWarning, match=said):
        assert [one.seq for one, _ in salvage(folder / EVENTS)] == [0, 1]
    assert lease.driver(folder) is None, "the study is let go of"


# Writers -----------------------------------------------------------------------------


def test_an_event_that_names_a_trial_by_a_path_is_not_believed(folder: Place) -> None:
    append(folder, 3)
    line = encode(replace(event(1), trial_id="../../other"))
    files.write(folder / EVENTS / "0000000001.json", line)
    with pytest.raises(DamagedLog, match=r"at event 1: no trial is named '\.\./\.\./other'"):
        read(folder / EVENTS)


def test_an_event_whose_answer_got_lost_is_in_the_log_once(road: Road, folder: Place) -> None:
    lost: Iterator[bool] = iter([True, False, True])
    road.lose = lambda method, path: method == "PUT" and ".json" in path and next(lost, False)
    with ObjectLog(files.place(str(folder))) as log:
        log.append(event(0))
        log.append(event(1))
    assert next(lost, "all were") == "all were"
    assert read(folder / EVENTS)[0] == [event(0), event(1)]


def test_a_store_that_refuses_closes_the_log_for_good(
    road: Road, folder: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    log = ObjectLog(files.place(str(folder)))
    log.append(event(0))
    road.refuse = lambda method, path: "0000000001" in path
    with pytest.raises(Resumable, match=r"events.jsonl cannot be written: .*then `sweep resume s3"):
        log.append(event(1))
    with pytest.raises(ValueError, match="is closed"):
        log.append(event(1))
    road.refuse = lambda method, path: False
    with ObjectLog(folder) as again:
        again.append(event(1, again=True))
    assert read(folder / EVENTS)[0] == [event(0), event(1, again=True)]


def test_of_two_drivers_the_one_that_was_asleep_is_refused_at_its_next_event(
    folder: Place,
) -> None:
    asleep = ObjectLog(folder)
    asleep.append(event(0))
    files.remove(folder / lease.DRIVER)  # as if it had been silent for long
    append(folder, 12)
    with pytest.raises(Resumable, match=r"Another driver goes on with s3://.*event 1 of its log"):
        asleep.append(event(1, whose="asleep"))
    with pytest.raises(ValueError, match="is closed"):
        asleep.append(event(1))
    assert read(folder / EVENTS)[0] == [event(seq) for seq in range(13)]


def test_a_driver_whose_lease_is_another_ones_writes_no_more(
    folder: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    log = ObjectLog(folder)
    other = lease.Driver(host="elsewhere", pid=1, time=0.0, token="another's")

    def go_on() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            files.write(folder / lease.DRIVER, other.to_bytes())
            log.append(event(log.seq + 1))

    with pytest.raises(Resumable, match=r"Another driver has taken s3://.*/study over"):
        go_on()
    with pytest.raises(ValueError, match="is closed"):
        log.append(event(log.seq + 1))


def test_two_logs_of_one_study_are_two_drivers(folder: Place) -> None:
    with ObjectLog(folder), pytest.raises(StudyError, match="is driven already, by process"):
        ObjectLog(folder)
    ObjectLog(folder).close()
