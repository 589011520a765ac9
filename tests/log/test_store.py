"""The log keeps what it was told, and says when it cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import app
from sweep.core.codec import decode, encode
from sweep.core.errors import StudyError, StudyWarning, UserError
from sweep.core.events import FORMAT, Event, Observed, SessionBegan, StudyBegan, TrialStarted
from sweep.core.records import Observation
from sweep.log.store import (
    EVENTS,
    EventLog,
    Log,
    MemoryLog,
    check_writable,
    create,
    end,
    find,
    last,
    listing,
    open_log,
    read,
    salvage,
    scan,
)
from sweep.storage import files
from sweep.storage.files import Place
from sweep.storage.lease import driver
from sweep.tables.snapshots import StudyTables


def event(seq: int, worker: str | None = None) -> Event:
    return TrialStarted(seq=seq, time=float(seq), trial_id="t", worker=worker)


def observed(seq: int, detail: dict[str, Any]) -> Event:
    observation = Observation(stage="probed", step=1, detail=detail)
    return Observed(seq=seq, trial_id="t", observation=observation)


BEGAN = StudyBegan(
    seq=0, name="x", config={}, config_digest="", data_digest="", created=1.0, commit=None,
    versions={},
)  # fmt: skip


def lines(count: int) -> bytes:
    return b"".join(encode(event(seq)) for seq in range(count))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path, "study")
    return tmp_path / "study"


@pytest.fixture(params=["memory", "disk", "object store"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    if request.param == "memory":
        yield MemoryLog()
        return
    kind = {"disk": "tmp_path", "object store": "bucket"}[request.param]
    with open_log(create(request.getfixturevalue(kind), "study")) as opened:
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


def test_nan_is_refused_and_nothing_is_written(root: Place) -> None:
    folder = create(root, "study")
    with open_log(folder) as log:
        log.append(event(0))
        with pytest.raises(ValueError, match="not JSON compliant"):
            log.append(observed(1, {"value": float("nan")}))
        log.append(event(1))
    assert read(folder / EVENTS)[0] == [event(0), event(1)]


def test_a_log_that_is_opened_again_goes_on(root: Place) -> None:
    folder = create(root, "study")
    for seq in range(3):
        with open_log(folder) as log:
            assert log.seq == seq - 1
            log.append(event(seq))
            assert log.offset == end(folder / EVENTS)
    assert read(folder / EVENTS) == ([event(seq) for seq in range(3)], log.offset)


def test_a_closed_log_takes_no_more(root: Place) -> None:
    with open_log(create(root, "study")) as log:
        log.append(event(0))
    with pytest.raises(ValueError, match=r"log .* is closed"):
        log.append(event(1))


def test_reading_goes_on_where_it_stopped(root: Place) -> None:
    folder = create(root, "study")
    behind = []
    with open_log(folder) as log:
        for seq in range(3):
            log.append(event(seq))
            behind.append(log.offset)
        for start, offset in enumerate(behind, start=1):
            assert [one.seq for one, _ in log.since(offset, start)] == list(range(start, 3))
    path = folder / EVENTS
    assert [offset for _, offset in scan(path)] == behind
    for start, offset in enumerate(behind, start=1):
        events, last = read(path, offset=offset, seq=start)
        assert [one.seq for one in events] == list(range(start, 3))
        assert last == behind[-1]
    assert [one.seq for one, _ in scan(path, end=behind[1])] == [0, 1]
    with pytest.raises(StudyError, match=r"has no (line|event) that begins at"):
        read(path, offset=behind[0] + 5, seq=1)
    with pytest.raises(StudyError, match=r"There is no study at"):
        read(root / "nowhere" / EVENTS)


def test_a_log_of_a_newer_sweep_is_refused_in_a_sentence(root: Place) -> None:
    for first in (replace(BEGAN, format=FORMAT + 1), SessionBegan(seq=0, format=FORMAT + 1)):
        folder = create(root, first.kind)
        with open_log(folder) as log:
            log.append(first)
        newer = r"written by a newer sweep: .* format 3, and this one reads 2"
        with pytest.raises(StudyError, match=newer):
            read(folder / EVENTS)
        with pytest.raises(StudyError, match=newer):
            open_log(folder)


# The log on disk ---------------------------------------------------------------------


def test_a_newer_sweeps_events_may_have_other_fields(folder: Path) -> None:
    newer = {"seq": 0, "kind": "study", "format": FORMAT + 1, "other": 1}
    (folder / EVENTS).write_text(json.dumps(newer) + "\n")
    with pytest.raises(StudyError, match="written by a newer sweep"):
        read(folder / EVENTS)


FORMAT_1 = """\
{"seq":0,"time":1790000000.5,"kind":"study","trial_id":"","attempt":0,"payload":{"format":1,\
"name":"old","config":{"name":"old","seed":0},"config_digest":"1f","data_digest":"2e","path":null,\
"created":1790000000.4,"commit":"0123456789abcdef0123","versions":{"sweep":"0.1.0","torch":"2.11"}}}
{"seq":1,"time":1790000001.5,"kind":"session","trial_id":"","attempt":0,"payload":{"format":1,\
"host":"h","pid":1,"runner":"local","workers":1,"device":"cpu"}}
{"seq":2,"time":1790000002.5,"kind":"finish","trial_id":"","attempt":0,"payload":{"winner":null,\
"accuracy":null,"interval":null,"ties":[],"zone":{"lo":null,"hi":null,"through":0,"note":""},\
"probes_paid":0,"probes_saved":0,"reason":"every candidate is decided","test_accuracy":null}}
"""
"""A log as sweep 0.1.0 wrote it, before events had types."""


def test_a_log_of_format_1_is_refused_in_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / EVENTS).write_text(FORMAT_1)
    older = (
        r"written by sweep 0\.1\.0 \(commit 0123456789ab\): its events are in format 1, and this "
        r"sweep reads format 2\. Read it with that version, or run the study again\."
    )
    for use in (read, EventLog, StudyTables):
        with pytest.raises(StudyError, match=older):
            _used(use, folder)
    results = ["--results", str(folder.parent)]
    for words in (["show", "study"], ["resume", "study"], ["query", "study", "FROM trials"]):
        assert app.run_command([*words, *results]) == 2
        assert re.search(older, capsys.readouterr().err)


def test_ls_leaves_out_a_study_of_another_format_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / EVENTS).write_text(FORMAT_1)
    (create(folder.parent, "new") / EVENTS).write_bytes(encode(replace(BEGAN, name="new")))
    assert app.run_command(["ls", "--json", "--results", str(folder.parent)]) == 0
    said = capsys.readouterr()
    assert [row["study"] for row in json.loads(said.out)] == ["new"]
    assert f"Note: {folder} is left out. This study was written by sweep 0.1.0" in said.err


def _used(use: Any, folder: Path) -> Any:
    if use is read:
        return read(folder / EVENTS)
    return use(folder).table("trials") if use is StudyTables else use(folder)


def test_an_event_is_one_line_of_ascii() -> None:
    line = encode(event(0, "a\u2028b\nc \U0001f600 \\udcff"))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode(line) == event(0, "a\u2028b\nc \U0001f600 \\udcff")


def test_what_utf_8_cannot_hold_becomes_a_question_mark() -> None:
    assert decode(encode(event(0, "/logs/\udcff\ud800\\.txt"))) == event(0, "/logs/??\\.txt")


@pytest.mark.parametrize("kept", range(1, len(encode(event(2)))))
def test_a_line_torn_anywhere_is_skipped_and_nothing_is_glued_to_it(
    folder: Path, kept: int
) -> None:
    (folder / EVENTS).write_bytes(lines(2) + encode(event(2))[:kept])
    assert read(folder / EVENTS) == ([event(0), event(1)], len(lines(2)))
    with EventLog(folder) as log:
        log.append(event(2, "again"))
    assert read(folder / EVENTS)[0] == [event(0), event(1), event(2, "again")]


def test_a_last_line_whose_text_never_reached_the_disk_is_torn_too(folder: Path) -> None:
    (folder / EVENTS).write_bytes(lines(2) + b"\0" * 40 + b'"worker":null}\n')
    assert read(folder / EVENTS) == ([event(0), event(1)], len(lines(2)))
    with EventLog(folder) as log:
        log.append(event(2))
    assert (folder / EVENTS).read_bytes() == lines(3)


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
def test_a_damaged_line_in_the_middle_is_named_and_left_alone(folder: Path, damage: bytes) -> None:
    data = lines(1) + damage + encode(event(2))
    (folder / EVENTS).write_bytes(data)
    with pytest.raises(StudyError, match=r"events.jsonl is damaged at line 2: .*from a copy"):
        read(folder / EVENTS)
    with pytest.raises(StudyError, match="is damaged at line 2"):
        EventLog(folder)
    assert (folder / EVENTS).read_bytes() == data
    assert driver(folder) is None, "the study is let go of"


def test_a_whole_last_line_out_of_turn_is_damage(folder: Path) -> None:
    (folder / EVENTS).write_bytes(lines(1) + encode(event(5)))
    with pytest.raises(StudyError, match="line 2: event 5 stands where event 1 is due"):
        read(folder / EVENTS)


@pytest.mark.parametrize("damage", [b"", b"\n", b"{}\n", encode(event(0))])
def test_the_last_event_is_told_of_a_log_that_looks_whole(folder: Path, damage: bytes) -> None:
    (folder / EVENTS).write_bytes(lines(1) + damage + encode(event(1)))
    assert last(folder / EVENTS) == (None if damage else event(1))
    (folder / EVENTS).write_bytes(lines(2) + damage + b'{"seq":2')
    assert last(folder / EVENTS) is None


def test_the_last_event_of_a_log_on_an_object_store(bucket: Place) -> None:
    with open_log(create(bucket, "study")) as log:
        for seq in range(3):
            log.append(event(seq))
        assert last(bucket / "study" / EVENTS) == event(2)


def test_what_stands_before_damage_can_be_read_with_a_warning(folder: Path) -> None:
    (folder / EVENTS).write_bytes(lines(2) + b"{\n" + encode(event(2)))
    with pytest.warns(StudyWarning, match=r"damaged at line 3.*What stands before it is whole"):
        assert [one.seq for one, _ in salvage(folder / EVENTS)] == [0, 1]


def test_a_line_begins_behind_another(folder: Path) -> None:
    (folder / EVENTS).write_bytes(lines(3))
    assert [one.seq for one, _ in scan(folder / EVENTS, end=len(lines(2)) + 5)] == [0, 1]
    with pytest.raises(StudyError, match="no line that begins at byte 5"):
        read(folder / EVENTS, offset=5, seq=1)


def test_a_disk_that_refuses_closes_the_log_for_good(folder: Path) -> None:
    script = f"""
import resource, signal
from pathlib import Path
from sweep.cli import app
from sweep.core.codec import decode, encode
from sweep.core.errors import StudyError
from sweep.core.events import TrialStarted
from sweep.log.store import EventLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
event = lambda seq: TrialStarted(seq=seq, time=float(seq), trial_id="t")
with EventLog(Path({str(folder)!r})) as log:
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
    assert (folder / EVENTS).stat().st_size == len(lines(1)) + 20
    with EventLog(folder) as log:
        log.append(event(1))
    assert (folder / EVENTS).read_bytes() == lines(2)


# Where studies lie -------------------------------------------------------------------


def begun(results: Place, name: str) -> Place:
    folder = create(results, name)
    with open_log(folder) as log:
        log.append(event(0))
    return folder


def test_a_study_is_found_by_name_and_by_path(root: Place) -> None:
    folder = begun(root / "results", "one")
    assert find(root / "results", "one") == folder
    assert find(root / "results", "one/") == folder
    assert find(root / "elsewhere", str(folder)) == folder
    assert listing(root / "results") == [folder]


def test_a_missing_study_is_answered_with_those_there_are(root: Place) -> None:
    begun(root, "cifar10")
    begun(root, "stl10")
    files.make(root / "notes")
    with pytest.raises(StudyError, match=r"'cifar1' is not known. Did you mean 'cifar10'.*stl10"):
        find(root, "cifar1")
    for odd in ("", ".", "..", "notes", "cifar10/trials"):
        with pytest.raises(StudyError, match=r"Known: cifar10, stl10\. They lie in"):
            find(root, odd)
    with pytest.raises(StudyError, match=r"none at all in .*sweep run experiments/quickstart"):
        find(root / "nowhere", "cifar10")


def test_a_name_cannot_leave_the_folder(root: Place) -> None:
    for name in ("", ".", "..", "../x", "a/b", "/etc", "a\n", "-x", "x" * 101):
        with pytest.raises(StudyError, match="A study cannot be named"):
            create(root / "results", name)
    assert files.names(root) == []


def test_a_study_that_exists_is_not_begun_again(root: Place) -> None:
    begun(root, "one")
    with pytest.raises(StudyError, match=r"exists already. `sweep resume .*one` goes on with it"):
        create(root, "one")


def test_a_driver_that_died_before_its_first_event_leaves_the_name_free(root: Place) -> None:
    with open_log(create(root, "one")):
        pass
    assert create(root, "one") == root / "one"


def test_somebody_elses_folder_is_left_alone(root: Place) -> None:
    files.make(root / "photos")
    files.write(root / "photos" / "cat.png", b"")
    with pytest.raises(StudyError, match=r"is no study but holds 'cat.png'"):
        create(root, "photos")


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="is no folder"):
        create(tmp_path, "file")


def test_results_that_cannot_be_written_are_refused_in_a_sentence(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written to .*Name another .*--results DIR"):
        check_writable(tmp_path / "file" / "results")
    with pytest.raises(UserError, match="cannot be written to"):
        create(tmp_path / "file", "one")
