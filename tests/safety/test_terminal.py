"""All output is plain text: nothing in a log, a name or an error can control the terminal."""

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
"""Sets a title, clears the screen, sets colours in two ways, reverses text, has rich's markup."""


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with `EVIL` in every text of its log."""
    folder = small(tmp_path_factory.mktemp("results"))

    def change(events: Lines) -> None:
        last = events.pop()
        lost = next(e["trial_id"] for e in events if "trial_id" in e)
        for event in events:
            for name in ("reason", "host", "commit", "worker"):
                if isinstance(event.get(name), str) or name == "worker":
                    event[name] = EVIL
            if "point" in event:
                event["point"] = {EVIL: EVIL, "tag": EVIL, "options.number": 1}
            observation = event.get("observation", {"measures": [], "stage": ""})
            for measure in observation["measures"]:
                measure["detail"] = {EVIL: EVIL}
            if observation["stage"] == "measured":
                more = {"name": EVIL, "value": 1.0, "status": "ok", "fatal": False, "detail": {}}
                observation["measures"].append(more)
        failure = {"error": EVIL, "traceback": EVIL, "cause": EVIL}
        trial = {"trial_id": lost, "attempt": 1, "kind": "failure"}
        events.append({**last, **trial, "failure": failure, "final": True})
        events.append({**last, "outcome": {**last["outcome"], "reason": EVIL}})

    forge(folder, change)
    return folder


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return a command's exit code and its whole output."""
    code = app.run_command([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def control_characters(text: str) -> set[str]:
    """Return the characters of a text that can control a terminal."""
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
def test_no_control_character_reaches_the_terminal(
    words: list[str], form: str, evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = call(*words, form, "--results", evil.parent, capsys=capsys)
    assert code == 0
    assert control_characters(output) == set()
    if form == "--json":
        values = json.dumps(json.loads(output), ensure_ascii=False)
        assert "owned" not in output or "\\u001b]0;owned" in values


def test_the_output_of_why_is_plain_text(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (evil / EVENTS).read_text(encoding="utf-8").splitlines()
    lost = next(json.loads(line)["trial_id"] for line in lines if '"failure"' in line)
    code, output = call("show", "small", "--why", lost, "--results", evil.parent, capsys=capsys)
    assert code == 0
    assert "owned" in output
    assert control_characters(output) == set()


def test_a_cell_stays_on_its_line(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a name could fake a row."""
    sql = "SELECT 'a' || chr(10) || 'winner b' AS x"
    _, output = call("query", "small", sql, "--results", evil.parent, capsys=capsys)
    assert output.splitlines() == ["x", "-----------", "a\\nwinner b"]


def test_json_holds_unchanged_what_a_table_escapes(
    evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["query", "small", "SELECT tag FROM trials LIMIT 1", "--json"]
    _, output = call(*words, "--results", evil.parent, capsys=capsys)
    assert json.loads(output) == [{"tag": EVIL}]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_csv_is_unchanged_in_a_pipe_and_escaped_on_a_terminal(evil: Path) -> None:
    import pty

    command = [sys.executable, "-m", "sweep.cli", "query", "small", "SELECT tag FROM trials"]
    command += ["--csv", "--results", str(evil.parent)]
    assert EVIL.encode() in subprocess.run(command, capture_output=True, check=True).stdout
    terminal, child = pty.openpty()
    with subprocess.Popen(command, stdout=child, stderr=child) as process:
        os.close(child)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
        assert process.wait() == 0
    os.close(terminal)
    assert b"owned" in shown
    assert control_characters(shown.decode().replace("\r\n", "\n")) == set()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the process has closed its side
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
def test_the_errors_and_names_of_a_running_trial_are_shown_as_plain_text(
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
    code, output = call("run", tmp_path / "c.toml", "--results", tmp_path / "r", capsys=capsys)
    assert code == 0
    assert "owned" in output
    assert "[red]x[/red]" in output
    assert "\x1b]0;" not in output
    assert "\x9b" not in output
    assert "\u202e" not in output
    assert not any(line.startswith("12:00:00  forged") for line in output.splitlines())
    if not terminal:
        assert control_characters(output) == set()


NAME = "evil\x1b[31m\u202e\udcff"
"""A valid name of a file; the last character stands for a byte that is not UTF-8."""


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
def test_a_name_in_an_error_is_plain_text(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text("")
    (tmp_path / "t.csv").write_text("alpha,accuracy\n1,0.5\n2,0.6\n")
    code, output = call(*words, capsys=capsys)
    assert code == (0 if words[0] == "ls" and words[1] == "--results" else 2)
    assert output
    assert control_characters(output) == set()
    assert "Traceback" not in output


def test_a_folder_with_control_characters_in_its_name_is_shown_as_plain_text(
    evil: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / NAME
    shutil.copytree(evil, folder)
    words: list[list[Any]] = [["ls", "--results", tmp_path], ["show", folder]]
    words += [["export", folder, "-o", tmp_path / "x.safetensors"], ["stop", folder]]
    words += [["resume", folder], ["best", folder, "--csv"], ["query", folder, "SELECT 1"]]
    for command in words:
        _, output = call(*command, capsys=capsys)
        assert output
        assert control_characters(output) == set()
        assert "Traceback" not in output
