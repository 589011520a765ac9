"""A log on a disk: torn lines are cut off, damaged lines are named, and nothing is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.cli import app
from sweep.core.codec import encode
from sweep.core.errors import StudyError, StudyWarning
from sweep.core.events import FORMAT, Event, StudyBegan, TrialStarted
from sweep.log.log import salvage
from sweep.log.study_folder import EVENTS, create, log_of, open_log, read_log
from sweep.storage.lease import holder_of
from sweep.storage.location import Location, locate
from sweep.tables.snapshots import StudyTables


def event(seq: int, worker: str | None = None) -> Event:
    return TrialStarted(seq=seq, time=float(seq), trial_id="t", worker=worker)


def lines(count: int) -> bytes:
    return b"".join(encode(event(seq)) for seq in range(count))


def two_events() -> list[tuple[Event, int]]:
    return [(event(0), len(lines(1))), (event(1), len(lines(2)))]


@pytest.fixture
def folder(tmp_path: Path) -> Location:
    return create(locate(tmp_path), "study")


def test_a_newer_sweeps_events_may_have_other_fields(folder: Location) -> None:
    newer = {"seq": 0, "kind": "study", "format": FORMAT + 1, "other": 1}
    (folder / EVENTS).write(json.dumps(newer).encode() + b"\n")
    with pytest.raises(StudyError, match="written by a newer sweep"):
        read_log(folder)


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
    folder: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / EVENTS).write(FORMAT_1.encode())
    older = (
        r"written by sweep 0\.1\.0 \(commit 0123456789ab\): its events are in format 1, and this "
        r"sweep reads format 3\. Read it with that version, or run the study again\."
    )
    uses = (read_log, open_log, lambda study: StudyTables(study).table("trials"))
    for use in uses:
        with pytest.raises(StudyError, match=older):
            use(folder)
    results = ["--results", str(folder.parent)]
    for words in (["show", "study"], ["resume", "study"], ["query", "study", "FROM trials"]):
        assert app.run_command([*words, *results]) == 2
        assert re.search(older, capsys.readouterr().err)


def test_ls_leaves_out_a_study_of_another_format_and_says_so(
    folder: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / EVENTS).write(FORMAT_1.encode())
    began = StudyBegan(
        seq=0, name="new", config={}, config_digest="", data_digest="", created=1.0, commit=None,
        versions={},
    )  # fmt: skip
    (create(folder.parent, "new") / EVENTS).write(encode(began))
    assert app.run_command(["ls", "--json", "--results", str(folder.parent)]) == 0
    output = capsys.readouterr()
    assert [row["study"] for row in json.loads(output.out)] == ["new"]
    assert f"Note: {folder} is left out. This study was written by sweep 0.1.0" in output.err


@pytest.mark.parametrize("kept", range(1, len(encode(event(2)))))
def test_a_line_torn_anywhere_is_skipped_and_nothing_is_glued_to_it(
    folder: Location, kept: int
) -> None:
    (folder / EVENTS).write(lines(2) + encode(event(2))[:kept])
    assert list(log_of(folder).scan()) == two_events()
    with open_log(folder) as log:
        log.append(event(2, "again"))
    assert read_log(folder) == [event(0), event(1), event(2, "again")]


def test_a_last_line_whose_text_never_reached_the_disk_is_torn_too(folder: Location) -> None:
    (folder / EVENTS).write(lines(2) + b"\0" * 40 + b'"worker":null}\n')
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
from sweep.core.events import TrialStarted
from sweep.log.study_folder import open_log
from sweep.storage.location import locate
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
event = lambda seq: TrialStarted(seq=seq, time=float(seq), trial_id="t")
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
