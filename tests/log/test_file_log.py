"""A log on a disk: torn lines are cut off, damaged lines are named, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.core.errors import StudyError, StudyWarning
from sweep.core.records import Event
from sweep.log.codec import FORMAT, decode, encode
from sweep.log.log import salvage
from sweep.log.study_folder import EVENTS, create, log_of, open_log, read_log
from sweep.storage.lease import holder_of
from sweep.storage.location import Location, locate


def event(seq: int, **payload: object) -> Event:
    return Event(seq=seq, time=float(seq), kind="start", trial_id="t", payload=payload)


def lines(count: int) -> bytes:
    return b"".join(encode(event(seq)) for seq in range(count))


def two_events() -> list[tuple[Event, int]]:
    return [(event(0), len(lines(1))), (event(1), len(lines(2)))]


@pytest.fixture
def folder(tmp_path: Path) -> Location:
    return create(locate(tmp_path), "study")


def test_a_newer_sweeps_events_may_have_fields_of_tomorrow(folder: Location) -> None:
    line = encode(Event(seq=0, time=0.0, kind="study", payload={"format": FORMAT + 1}))
    (folder / EVENTS).write(line.replace(b'"seq"', b'"tomorrow":1,"seq"'))
    with pytest.raises(StudyError, match="written by a newer sweep"):
        read_log(folder)


def test_an_event_is_one_line_of_ascii() -> None:
    line = encode(event(0, text="a\u2028b\nc\udcff"))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode(line) == event(0, text="a\u2028b\nc\udcff")


@pytest.mark.parametrize("kept", range(1, len(encode(event(2)))))
def test_a_line_torn_anywhere_is_skipped_and_nothing_is_glued_to_it(
    folder: Location, kept: int
) -> None:
    (folder / EVENTS).write(lines(2) + encode(event(2))[:kept])
    assert list(log_of(folder).scan()) == two_events()
    with open_log(folder) as log:
        log.append(event(2, again=True))
    assert read_log(folder) == [event(0), event(1), event(2, again=True)]


def test_a_last_line_whose_text_never_reached_the_disk_is_torn_too(folder: Location) -> None:
    (folder / EVENTS).write(lines(2) + b"\0" * 40 + b'"payload":{}}\n')
    assert list(log_of(folder).scan()) == two_events()
    with open_log(folder) as log:
        log.append(event(2))
    assert (folder / EVENTS).read() == lines(3)


@pytest.mark.parametrize(
    "damage",
    [
        b"\n",
        b"{\n",
        b"[1]\n",
        b"\xff\n",
        b'{"seq":1}\n',
        encode(event(0)),
        encode(event(1))[:-1] + b" " + encode(event(1)),
    ],
)
def test_a_damaged_line_in_the_middle_is_named_and_left_alone(
    folder: Location, damage: bytes
) -> None:
    data = lines(1) + damage + encode(event(2))
    (folder / EVENTS).write(data)
    with pytest.raises(StudyError, match=r"events.jsonl is damaged at line 2: .*from a copy"):
        read_log(folder)
    with pytest.raises(StudyError, match="is damaged at line 2"):
        open_log(folder)
    assert (folder / EVENTS).read() == data
    assert holder_of(folder) is None, "the study is let go of"


def test_a_whole_last_line_out_of_turn_is_damage(folder: Location) -> None:
    (folder / EVENTS).write(lines(1) + encode(event(5)))
    with pytest.raises(StudyError, match="line 2: event 5 stands where event 1 is due"):
        read_log(folder)


@pytest.mark.parametrize("damage", [b"", b"\n", b"{}\n", encode(event(0))])
def test_the_last_event_is_told_of_a_log_that_looks_whole(folder: Location, damage: bytes) -> None:
    (folder / EVENTS).write(lines(1) + damage + encode(event(1)))
    assert log_of(folder).last() == (None if damage else event(1))
    (folder / EVENTS).write(lines(2) + damage + b'{"seq":2')
    assert log_of(folder).last() is None


def test_what_stands_before_damage_can_be_read_with_a_warning(folder: Location) -> None:
    (folder / EVENTS).write(lines(2) + b"{\n" + encode(event(2)))
    with pytest.warns(StudyWarning, match=r"damaged at line 3.*The lines before it are whole"):
        assert [one.seq for one, _ in salvage(log_of(folder))] == [0, 1]


def test_a_line_begins_behind_another(folder: Location) -> None:
    (folder / EVENTS).write(lines(3))
    assert [one.seq for one, _ in log_of(folder).scan(end=len(lines(2)) + 5)] == [0, 1]
    with pytest.raises(StudyError, match="no line that begins at byte 5"):
        list(log_of(folder).scan(offset=5, seq=1))


def test_a_disk_that_refuses_closes_the_log_for_good(folder: Location) -> None:
    script = f"""
import resource, signal
from sweep.core.errors import StudyError
from sweep.core.records import Event
from sweep.log.study_folder import open_log
from sweep.storage.location import locate
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
event = lambda seq: Event(seq=seq, time=float(seq), kind="start", trial_id="t")
with open_log(locate({str(folder)!r})) as log:
    log.append(event(0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.offset + 20, log.offset + 20))
    try:
        log.append(event(1))
    except StudyError as error:
        print(error)
    try:
        log.append(event(1))
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    refused, closed = done.stdout.splitlines()
    assert "File too large. Free some space there, then `sweep resume" in refused
    assert "closed" in closed
    assert log_of(folder).end() == len(lines(1)) + 20
    with open_log(folder) as log:
        log.append(event(1))
    assert (folder / EVENTS).read() == lines(2)
