"""Whatever is shown is text: nothing in a log, a name or an error commands the terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import app
from sweep.log.study_folder import EVENTS
from tests.safety.logs import Lines, forge, small

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt\r\b\x7f\x00[red]x[/red] [link=http://x]y[/link]"
"""A title, a cleared screen, colours of two spellings, letters backwards, and rich's markup."""


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study into whose log somebody wrote that wherever text may stand."""
    folder = small(tmp_path_factory.mktemp("results"))

    def change(events: Lines) -> None:
        last = events.pop()
        lost = next(e["trial_id"] for e in events if e["trial_id"] not in ("", last))
        for event in events:
            payload = event["payload"]
            for name in ("reason", "error", "traceback", "host", "commit", "worker"):
                if isinstance(payload.get(name), str) or name == "worker":
                    payload[name] = EVIL
            if "point" in payload:
                payload["point"] = {EVIL: EVIL, "tag": EVIL, "options.number": 1}
            for measure in payload.get("measures", []):
                measure["detail"] = {EVIL: EVIL}
            if payload.get("stage") == "measured":
                more = {"name": EVIL, "value": 1.0, "status": "ok", "detail": {}}
                payload["measures"].append(more)
        failure = {"error": EVIL, "final": True, "traceback": EVIL, "cause": EVIL}
        events.append({**last, "kind": "failure", "trial_id": lost, "payload": failure})
        events.append({**last, "payload": {**last["payload"], "reason": EVIL}})

    forge(folder, change)
    return folder


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return a command's exit code and all that it printed."""
    code = app.run_command([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out + said.err


def commands(text: str) -> set[str]:
    """Return the letters of a text that a terminal would obey."""
    return {letter for letter in text if not letter.isprintable()} - {"\n"}


WORDS = [
    ["show", "small"],
    ["best", "small"],
    ["ls"],
    ["query", "small", "SELECT * FROM trials"],
    ["query", "small", "SELECT * FROM verdicts"],
    ["query", "small", "SELECT * FROM measures"],
    ["query", "small", "SELECT * FROM studies"],
    ["query", "small", "SELECT chr(27) || '[31m' AS \"\x1b[31m\", [chr(155)], {'\x1b': chr(8238)}"],
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[-1][:30])
@pytest.mark.parametrize("form", ["--table", "--json"])
def test_no_command_reaches_the_terminal(
    words: list[str], form: str, evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = call(*words, form, "--results", evil.parent, capsys=capsys)
    assert code == 0
    assert commands(said) == set()
    if form == "--json":
        values = json.dumps(json.loads(said), ensure_ascii=False)
        assert "owned" not in said or "\\u001b]0;owned" in values


def test_every_line_of_why_is_text(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (evil / EVENTS).read_text(encoding="utf-8").splitlines()
    lost = next(json.loads(line)["trial_id"] for line in lines if '"failure"' in line)
    code, said = call("show", "small", "--why", lost, "--results", evil.parent, capsys=capsys)
    assert code == 0
    assert "owned" in said
    assert commands(said) == set()


def test_a_cell_keeps_to_its_line(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else a name could fake a row."""
    sql = "SELECT 'a' || chr(10) || 'winner b' AS x"
    _, said = call("query", "small", sql, "--results", evil.parent, capsys=capsys)
    assert said.splitlines() == ["x", "-----------", "a\\nwinner b"]


def test_json_says_in_full_what_a_table_escapes(
    evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["query", "small", "SELECT tag FROM trials LIMIT 1", "--json"]
    _, said = call(*words, "--results", evil.parent, capsys=capsys)
    assert json.loads(said) == [{"tag": EVIL}]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
def test_csv_is_as_it_is_in_a_pipe_and_escaped_on_a_terminal(evil: Path) -> None:
    import pty

    command = [sys.executable, "-m", "sweep.cli", "query", "small", "SELECT tag FROM trials"]
    command += ["--csv", "--results", str(evil.parent)]
    assert EVIL.encode() in subprocess.run(command, capture_output=True, check=True).stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert process.wait() == 0
    os.close(ours)
    assert b"owned" in shown
    assert commands(shown.decode().replace("\r\n", "\n")) == set()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side is closed
        return b""


RAISES = f"""
from sweep import Measure, Observation
def trial(config, context):
    if config.options["number"] == 1:
        raise OSError({EVIL!r} + "\\n12:00:00  forged line")
    measures = (Measure(name="alpha", value=1.0), Measure(name={EVIL!r}, value=1.0))
    yield Observation(stage="measured", step=1, measures=measures)
    yield Observation(stage="probed", step=1, measures=(Measure(name="accuracy", value=0.5),))
"""


@pytest.mark.parametrize("terminal", [False, True])
def test_a_trials_words_are_shown_as_text_while_it_runs(
    terminal: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / f"raises{terminal}.py").write_text(RAISES, encoding="utf-8")
    (tmp_path / "c.toml").write_text(
        f'trial = "raises{terminal}:trial"\nresources.runner = "local"\nresources.retries = 0\n'
        '[space.axes]\n"options.number" = [1, 2]\n[rule]\nname = "all"\n',
        encoding="utf-8",
    )
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
    code, said = call("run", tmp_path / "c.toml", "--results", tmp_path / "r", capsys=capsys)
    assert code == 0
    assert "owned" in said
    assert "[red]x[/red]" in said
    assert "\x1b]0;" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert not any(line.startswith("12:00:00  forged") for line in said.splitlines())
    if not terminal:
        assert commands(said) == set()


NAME = "evil\x1b[31m\u202e\udcff"
"""A file may be named so; the last letter is a byte that is no UTF-8."""


@pytest.mark.parametrize(
    "words",
    [
        ["run", NAME],
        ["run", "c.toml", "data.path=" + NAME],
        ["run", "c.toml", NAME + "=1"],
        ["show", NAME],
        ["stop", NAME],
        ["query", NAME, "SELECT 1"],
        ["query", NAME],
        ["select", NAME + ".csv"],
        ["select", "t.csv", "--column", NAME],
        ["select", "t.csv", "--column", "alpha=" + NAME],
        ["replay", NAME + ".parquet"],
        ["replay", "t.csv", "--rules", NAME],
        ["bench", NAME],
        ["ls", NAME],
        ["ls", "--" + NAME],
        [NAME],
        ["init", NAME + "/x"],
        ["ls", "--results", NAME],
    ],
    ids=lambda words: " ".join(words).replace(NAME, "EVIL"),
)
def test_a_name_in_an_error_is_text(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text("")
    (tmp_path / "t.csv").write_text("alpha,accuracy\n1,0.5\n2,0.6\n")
    code, said = call(*words, capsys=capsys)
    assert code == (0 if words[0] == "ls" and words[1] == "--results" else 2)
    assert said
    assert commands(said) == set()
    assert "Traceback" not in said


def test_a_folder_of_such_a_name_is_shown_as_text(
    evil: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / NAME
    shutil.copytree(evil, folder)
    words: list[list[Any]] = [["ls", "--results", tmp_path], ["show", folder]]
    words += [["export", folder, "-o", tmp_path / "x.safetensors"], ["stop", folder]]
    words += [["resume", folder], ["best", folder, "--csv"], ["query", folder, "SELECT 1"]]
    for some in words:
        _, said = call(*some, capsys=capsys)
        assert said
        assert commands(said) == set()
        assert "Traceback" not in said
