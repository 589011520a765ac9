"""The log keeps what it was told, and says when it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sweep.core.errors import StudyError
from sweep.core.events import FORMAT, Event, Observed, SessionBegan, StudyBegan, TrialStarted
from sweep.core.records import Observation
from sweep.log.log import Log, MemoryLog
from sweep.log.study_folder import create, log_of, open_log, read_log
from sweep.storage.location import Location, locate


def event(seq: int, worker: str | None = None) -> Event:
    return TrialStarted(seq=seq, time=float(seq), trial_id="t", worker=worker)


def observed(seq: int, detail: dict[str, Any]) -> Event:
    observation = Observation(stage="probed", step=1, detail=detail)
    return Observed(seq=seq, trial_id="t", observation=observation)


BEGAN = StudyBegan(
    seq=0, name="x", config={}, config_digest="", data_digest="", created=1.0, commit=None,
    versions={},
)  # fmt: skip


@pytest.fixture(params=["memory", "disk", "object store"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    if request.param == "memory":
        yield MemoryLog()
        return
    kind = {"disk": "tmp_path", "object store": "bucket"}[request.param]
    with open_log(create(locate(request.getfixturevalue(kind)), "study")) as opened:
        yield opened


# Every log ---------------------------------------------------------------------------


def test_a_log_gives_back_what_it_was_told(log: Log) -> None:
    detail = {"text": 'é "x"\n\u2028', "value": 0.1 + 0.2, "none": None, "items": [1]}
    events = [event(0), observed(1, detail)]
    for one in events:
        log.append(one)
    assert list(log.read()) == events
    assert list(log.read()) == events, "and again"


def test_a_log_refuses_an_event_out_of_turn(log: Log) -> None:
    log.append(event(0))
    for seq in (0, 2):
        with pytest.raises(ValueError, match=f"event {seq} stands where event 1 is due"):
            log.append(event(seq))
    log.append(event(1))
    assert [one.seq for one in log.read()] == [0, 1]


# The log of a study that lies somewhere ----------------------------------------------


def test_nan_is_refused_and_nothing_is_written(root: Location) -> None:
    folder = create(root, "study")
    with open_log(folder) as log:
        log.append(event(0))
        with pytest.raises(ValueError, match="not JSON compliant"):
            log.append(observed(1, {"value": float("nan")}))
        log.append(event(1))
    assert read_log(folder) == [event(0), event(1)]


def test_a_log_that_is_opened_again_goes_on(root: Location) -> None:
    folder = create(root, "study")
    for seq in range(3):
        with open_log(folder) as log:
            assert log.seq == seq - 1
            log.append(event(seq))
            assert log.offset == log_of(folder).end()
    assert read_log(folder) == [event(seq) for seq in range(3)]


def test_a_closed_log_takes_no_more(root: Location) -> None:
    with open_log(create(root, "study")) as log:
        log.append(event(0))
    with pytest.raises(ValueError, match=r"log .* is closed"):
        log.append(event(1))


def test_reading_goes_on_where_it_stopped(root: Location) -> None:
    folder = create(root, "study")
    behind = []
    with open_log(folder) as log:
        for seq in range(3):
            log.append(event(seq))
            behind.append(log.offset)
        for start, offset in enumerate(behind, start=1):
            assert [one.seq for one, _ in log.since(offset, start)] == list(range(start, 3))
    reader = log_of(folder)
    assert [offset for _, offset in reader.scan()] == behind
    for start, offset in enumerate(behind, start=1):
        rest = list(reader.scan(offset=offset, seq=start))
        assert [(one.seq, after) for one, after in rest] == list(enumerate(behind))[start:]
    assert [one.seq for one, _ in reader.scan(end=behind[1])] == [0, 1]
    with pytest.raises(StudyError, match=r"has no (line|event) that begins at"):
        list(reader.scan(offset=behind[0] + 5, seq=1))
    with pytest.raises(StudyError, match=r"There is no study at"):
        read_log(root / "nowhere")


def test_a_log_of_a_newer_sweep_is_refused_in_a_sentence(root: Location) -> None:
    for first in (replace(BEGAN, format=FORMAT + 1), SessionBegan(seq=0, format=FORMAT + 1)):
        folder = create(root, first.kind)
        with open_log(folder) as log:
            log.append(first)
        newer = r"written by a newer sweep: .* format 4, and this one reads 3"
        with pytest.raises(StudyError, match=newer):
            read_log(folder)
        with pytest.raises(StudyError, match=newer):
            open_log(folder)
