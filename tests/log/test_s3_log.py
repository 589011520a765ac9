"""A log of objects: what was acknowledged is there once, whoever reads or writes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from sweep.core.codec import encode
from sweep.core.errors import DamagedLog, Resumable, StudyError, StudyWarning
from sweep.core.events import Event, TrialStarted
from sweep.log import s3_log
from sweep.log.log import salvage
from sweep.log.s3_log import SEGMENTS
from sweep.log.study_folder import EVENTS, create, log_of, open_log, read_log
from sweep.storage import lease
from sweep.storage.location import Location, locate
from tests.faults import Act, faulty
from tests.object_store import Road


def event(seq: int, worker: str | None = None) -> Event:
    return TrialStarted(seq=seq, time=float(seq), trial_id="t", worker=worker)


def append(folder: Location, count: int) -> None:
    with open_log(folder) as log:
        for seq in range(log.seq + 1, log.seq + 1 + count):
            log.append(event(seq))


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_log, "SEGMENT_EVENTS", 5)


@pytest.fixture
def folder(bucket: Location) -> Location:
    return create(bucket, "study")


# Segments ----------------------------------------------------------------------------


def test_a_log_is_read_from_anywhere_whatever_is_in_segments(folder: Location) -> None:
    path = folder / EVENTS
    for count in (3, 2, 8):
        append(folder, count)
        known = log_of(folder).end()
        assert (path / SEGMENTS).names() == [f"{n:08}.jsonl" for n in range(known // 5)]
        for first in {0, 1, 4, 5, 6, known - 1, known} & set(range(known + 1)):
            seen = list(log_of(folder).scan(offset=first, seq=first))
            assert seen == [(event(seq), seq + 1) for seq in range(first, known)]
        assert [one.seq for one, _ in log_of(folder).scan(offset=2, seq=2, end=known - 1)] == list(
            range(2, known - 1)
        )


def test_a_long_log_is_read_with_few_requests(road: Road, folder: Location) -> None:
    folder = locate(str(folder))
    append(folder, 43)
    road.seen.clear()
    assert len(read_log(folder)) == 43
    assert len([path for method, path in road.seen if "list-type" not in path]) == 8 + 3
    road.seen.clear()
    assert log_of(folder).end() == 43
    assert len(road.seen) == 2


@pytest.mark.parametrize("harm", ["missing", "cut", "flipped", "alien"])
def test_a_segment_that_cannot_be_used_is_made_up_for_from_its_events(
    folder: Location, harm: str
) -> None:
    append(folder, 12)
    segment = folder / EVENTS / SEGMENTS / "00000001.jsonl"
    data = segment.read()
    if harm == "missing":
        (folder / EVENTS / SEGMENTS / "00000000.jsonl").remove()
    elif harm == "cut":
        segment.write(data[: data[:-1].rfind(b"\n") + 1])
    elif harm == "flipped":
        segment.write(data.replace(b"{", b"\xff"))
    else:
        segment.write((folder / EVENTS / SEGMENTS / "00000000.jsonl").read())
    assert read_log(folder) == [event(seq) for seq in range(12)]
    with open_log(folder) as log:
        log.append(event(12))
    assert (folder / EVENTS / SEGMENTS / "00000000.jsonl").exists(), "the driver puts it again"
    assert read_log(folder) == [event(seq) for seq in range(13)]


def test_a_reader_that_races_with_the_driver_sees_every_event_once(folder: Location) -> None:
    append(folder, 8)
    reader = log_of(folder).scan()
    seen = list(islice(reader, 4))
    append(folder, 9)
    seen += reader
    assert seen == [(event(seq), seq + 1) for seq in range(8)]
    seen += log_of(folder).scan(offset=8, seq=8)
    assert seen == [(event(seq), seq + 1) for seq in range(17)]


def test_events_that_become_a_segment_between_two_listings_are_not_missed(
    folder: Location,
) -> None:
    append(folder, 8)
    calls = iter(range(10))

    def late(act: Act) -> Any:
        result = act.run()
        if act.name == "names" and next(calls) == 0:
            append(folder, 9)
        return result

    assert read_log(faulty(folder, late)) == [event(seq) for seq in range(17)]


# Damage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("harm", "why"),
    [("missing", "it is missing"), ("torn", "Invalid JSON: EOF"), ("alien", "event 3 stands")],
)
def test_a_damaged_event_is_named_and_what_stands_before_it_can_be_read(
    folder: Location, harm: str, why: str
) -> None:
    append(folder, 4)
    place = folder / EVENTS / "0000000002.json"
    if harm == "missing":
        place.remove()
    else:
        place.write(encode(event(3)) if harm == "alien" else encode(event(2))[:20])
    said = rf"events.jsonl is damaged at event 2: .*({why}).*restore 0000000002.json from a copy"
    with pytest.raises(DamagedLog, match=said):
        read_log(folder)
    with pytest.raises(DamagedLog, match=said):
        open_log(folder)
    with pytest.warns(StudyWarning, match=said):
        assert [one.seq for one, _ in salvage(log_of(folder))] == [0, 1]
    assert lease.holder_of(folder) is None, "the study is let go of"


# Writers -----------------------------------------------------------------------------


def test_an_event_that_names_a_trial_by_a_path_is_not_believed(folder: Location) -> None:
    append(folder, 3)
    line = encode(TrialStarted(seq=1, trial_id="../../other"))
    (folder / EVENTS / "0000000001.json").write(line)
    with pytest.raises(DamagedLog, match=r"at event 1: start\.trial_id is '\.\./\.\./other'"):
        read_log(folder)


def test_an_event_whose_answer_got_lost_is_in_the_log_once(road: Road, folder: Location) -> None:
    lost: Iterator[bool] = iter([True, False, True])
    road.lose = lambda method, path: method == "PUT" and ".json" in path and next(lost, False)
    with open_log(locate(str(folder))) as log:
        log.append(event(0))
        log.append(event(1))
    assert next(lost, "all were") == "all were"
    assert read_log(folder) == [event(0), event(1)]


def test_a_store_that_refuses_closes_the_log_for_good(
    road: Road, folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    log = open_log(locate(str(folder)))
    log.append(event(0))
    road.refuse = lambda method, path: "0000000001" in path
    with pytest.raises(Resumable, match=r"events.jsonl cannot be written: .*then `sweep resume s3"):
        log.append(event(1))
    with pytest.raises(ValueError, match="is closed"):
        log.append(event(1))
    road.refuse = lambda method, path: False
    with open_log(folder) as again:
        again.append(event(1, "again"))
    assert read_log(folder) == [event(0), event(1, "again")]


def test_of_two_drivers_the_one_that_was_asleep_is_refused_at_its_next_event(
    folder: Location,
) -> None:
    asleep = open_log(folder)
    asleep.append(event(0))
    (folder / lease.NOTE).remove()  # as if it had been silent for long
    append(folder, 12)
    with pytest.raises(Resumable, match=r"Another driver goes on with s3://.*event 1 of the log"):
        asleep.append(event(1, "asleep"))
    with pytest.raises(ValueError, match="is closed"):
        asleep.append(event(1))
    assert read_log(folder) == [event(seq) for seq in range(13)]


def test_a_driver_whose_lease_is_another_ones_writes_no_more(
    folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    log = open_log(folder)
    other = lease.LeaseHolder(host="elsewhere", pid=1, time=0.0, token="another's")

    def go_on() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            (folder / lease.NOTE).write(other.to_bytes())
            log.append(event(log.seq + 1))

    with pytest.raises(Resumable, match=r"Another driver has taken s3://.*/study over"):
        go_on()
    with pytest.raises(ValueError, match="is closed"):
        log.append(event(log.seq + 1))


def test_two_logs_of_one_study_are_two_drivers(folder: Location) -> None:
    with open_log(folder), pytest.raises(StudyError, match="is driven already, by process"):
        open_log(folder)
    open_log(folder).close()


def test_the_last_event_is_told_without_reading_the_others(folder: Location) -> None:
    append(folder, 3)
    assert log_of(folder).last() == event(2)
