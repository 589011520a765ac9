"""Any log: a real log with changed bytes, lines or values, and arbitrary bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.config.study import StudyConfig
from sweep.launch import launch
from sweep.log.study_folder import EVENTS, TABLES
from tests.fuzz.commands import check_command, workspace
from tests.fuzz.values import JSON

Event = dict[str, Any]
TRIAL = "tests.fuzz.trials:idle"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose log has every kind of event: rounds, a failure, a larger budget."""
    results = tmp_path_factory.mktemp("logs")
    config = StudyConfig.model_validate(
        {
            "name": "study",
            "trial": TRIAL,
            "space": {"axes": {"options.number": list(range(8)), "d": [64, 128]}},
            "rule": {"name": "paper", "round": 4},
            "budget": {"trials": 12},
            "resources": {"runner": "local", "retries": 0},
        }
    )
    launch.run(config, results=results, warn=lambda sentence: None)
    launch.resume(results / "study", overrides=["budget.trials=14"])
    data = (results / "study" / EVENTS).read_bytes()
    kinds = {json.loads(line)["kind"] for line in data.splitlines()}
    assert kinds >= {"verdict", "zone", "failure", "budget", "finish", "observation"}
    return results / "study"


@pytest.fixture(scope="session")
def log(finished: Path) -> bytes:
    return (finished / EVENTS).read_bytes()


COMMANDS = [
    ["ls"],
    ["show", "study"],
    ["show", "study", "--csv"],
    ["best", "study", "--json"],
    ["show", "study", "--why", "{trial}"],
    ["query", "study", "SELECT * FROM trials"],
    ["query", "study", "SELECT * FROM observations JOIN measures USING (trial_id)", "--json"],
    ["query", "study", "SELECT * FROM spectra, verdicts, studies LIMIT 9"],
    ["export", "study", "-o", "{out}.safetensors"],
    ["landscape", "study", "-o", "{out}.parquet"],
    ["replay", "study", "--verify"],
    ["stop", "study"],
    ["resume", "study", "--quiet"],
    ["resume", "study", "--quiet", "budget.trials=16"],
    ["resume", "study", "--quiet", "--repeat-top", "1", "--seeds", "1"],
]


def use(
    scratch: Path, data: bytes, words: list[str], tables: Mapping[str, bytes] | None = None
) -> None:
    """Write a study's log and tables, and run a command on this study."""
    with workspace(scratch) as folder:
        study = folder / "results" / "study"
        study.mkdir()
        (study / EVENTS).write_bytes(data)
        (study / TABLES).mkdir()
        for name, table in (tables or {}).items():
            (study / TABLES / name).write_bytes(table)
        trial = next((e["trial_id"] for e in _events(data) if e.get("trial_id")), "x")
        given = [word.format(trial=trial, out=folder / "out") for word in words]
        if words[0] == "resume":
            given += ["--runner", "local"]
            if not _idle(data):  # otherwise it would train for hours
                given += ["resources.cpu=4096"]
        check_command(folder, *given, "--results", folder / "results")


def _events(data: bytes) -> list[Event]:
    events = []
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _idle(data: bytes) -> bool:
    """True if the only trial that `resume` could run is the trial that does nothing."""
    configs = [
        event.get("config") for event in _events(data) if event.get("kind") in ("study", "budget")
    ]
    return all(isinstance(config, dict) and config.get("trial") == TRIAL for config in configs)


@given(data=st.binary(max_size=80), words=st.sampled_from(COMMANDS))
def test_any_bytes(data: bytes, words: list[str], scratch: Path) -> None:
    use(scratch, data, words)


@given(picked=st.data(), words=st.sampled_from(COMMANDS))
def test_a_log_with_damaged_bytes(
    picked: st.DataObject, words: list[str], log: bytes, scratch: Path
) -> None:
    data = bytearray(log)
    for _ in range(picked.draw(st.integers(1, 5))):
        at = picked.draw(st.integers(0, len(data) - 1))
        match picked.draw(st.integers(0, 3)):
            case 0:
                data[at] ^= 1 << picked.draw(st.integers(0, 7))
            case 1:
                data[at : at + picked.draw(st.integers(1, 40))] = b""
            case 2:
                data[at:at] = picked.draw(st.binary(max_size=4))
            case 3:
                del data[at:]
        if not data:
            break
    use(scratch, bytes(data), words)


@given(picked=st.data(), words=st.sampled_from(COMMANDS))
def test_a_log_with_lines_removed_doubled_and_exchanged(
    picked: st.DataObject, words: list[str], log: bytes, scratch: Path
) -> None:
    events = _events(log)
    for _ in range(picked.draw(st.integers(1, 4))):
        if not events:
            break
        at, other = (picked.draw(st.integers(0, len(events) - 1)) for _ in range(2))
        match picked.draw(st.integers(0, 3)):
            case 0:
                del events[at]
            case 1:
                events.insert(other, events[at])
            case 2:
                events[at], events[other] = events[other], events[at]
            case 3:
                events = events[: at + 1]
    use(scratch, _numbered(events), words)


@given(picked=st.data(), words=st.sampled_from(COMMANDS))
def test_a_log_with_values_of_other_types(
    picked: st.DataObject, words: list[str], log: bytes, scratch: Path
) -> None:
    events = [json.loads(json.dumps(event)) for event in _events(log)]
    for _ in range(picked.draw(st.integers(1, 3))):
        end = len(events) - 1
        at = picked.draw(st.one_of(st.sampled_from([0, end]), st.integers(0, end)))
        level: Any = events[at]  # the first event holds the config, the last the outcome
        while True:
            keys = list(level) if isinstance(level, dict) else list(range(len(level)))
            if not keys:
                break
            key = picked.draw(st.sampled_from(keys))
            if isinstance(level[key], dict | list) and picked.draw(st.integers(0, 4)):
                level = level[key]
                continue
            if picked.draw(st.integers(0, 5)):
                level[key] = picked.draw(JSON)
            else:
                del level[key]
            break
    use(scratch, _numbered(events), words)


@given(depth=st.integers(1, 20_000), words=st.sampled_from(COMMANDS), place=st.integers(0, 60))
def test_a_deeply_nested_log(
    depth: int, words: list[str], place: int, log: bytes, scratch: Path
) -> None:
    lines = log.splitlines(keepends=True)
    at = place % len(lines)
    lines[at] = lines[at].replace(
        b'{"seq":', b'{"x":' + b"[" * depth + b"]" * depth + b',"seq":', 1
    )
    use(scratch, b"".join(lines), words)


@given(picked=st.data(), words=st.sampled_from(COMMANDS))
def test_tables_with_damaged_bytes_or_exchanged_names(
    picked: st.DataObject, words: list[str], finished: Path, scratch: Path
) -> None:
    tables = {path.name: path.read_bytes() for path in sorted((finished / TABLES).iterdir())}
    names = st.sampled_from(sorted(tables))
    for _ in range(picked.draw(st.integers(1, 3))):
        name = picked.draw(names)
        data = bytearray(tables[name])
        at = picked.draw(st.integers(0, len(data)))
        match picked.draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = picked.draw(st.binary(max_size=2))
            case 1:
                del data[at:]
            case 2:
                tables[picked.draw(names)] = bytes(data)
            case 3:
                tail = data[-(1 + at % 4000) :]  # the part with the schema and our mark
                place = picked.draw(st.integers(0, max(0, len(tail) - 1)))
                tail[place : place + 1] = picked.draw(st.binary(min_size=1, max_size=1))
                data[len(data) - len(tail) :] = tail
        tables[name] = bytes(data)
    log = (finished / EVENTS).read_bytes()
    keep = picked.draw(st.sampled_from([1.0, 1.0, 0.7]))
    use(scratch, log[: int(len(log) * keep)], words, tables)


def _numbered(events: list[Event]) -> bytes:
    lines = []
    for seq, event in enumerate(events):
        if type(event.get("seq")) is int:
            event = {**event, "seq": seq}
        lines.append(json.dumps(event) + "\n")
    return "".join(lines).encode("utf-8", "replace")
