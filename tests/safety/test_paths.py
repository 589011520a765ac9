"""No name and no link leads out of the results folder, whoever wrote the config or the log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sweep.cli import app
from sweep.config.models import EncoderConfig
from sweep.encoders import build
from sweep.log.study_folder import EVENTS
from sweep.pretraining import checkpoint
from sweep.storage.location import locate
from tests.safety.logs import Lines, forge, small

CONFIG = """
trial = "tests.safety.logs:idle"
[space.axes]
"options.number" = [1, 2, 3, 4]
[rule]
name = "all"
[resources]
runner = "local"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("results"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of a finished study; beside the results lies what is not theirs."""
    shutil.copytree(made, tmp_path / "results" / "small")
    outside = tmp_path / "outside"
    outside.mkdir()
    encoder = build(EncoderConfig(name="small_conv"), (1, 8, 8))
    checkpoint.save_encoder(locate(outside / checkpoint.ENCODER), encoder, {"secret": True})
    for name in ("state.pt", "log.txt", "journal.jsonl"):
        (outside / name).write_text("mine\n")
    return tmp_path / "results" / "small"


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return a command's exit code and what it said of errors."""
    code = app.run_command([str(word) for word in words])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.err


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


NAMES = ["..", "../outside", "/tmp/outside", "a/b", ".", "", "~", "-x", "a\n", "a\0b", "a" * 101]


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_named_by_no_path(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG, encoding="utf-8")
    words = ["run", path, "--results", tmp_path / "results"]
    code, said = call(*words, f"name={json.dumps(name)}", capsys=capsys)
    assert code == 2
    assert "name is " in said
    path.write_text(f"name = {json.dumps(name)}\n" + CONFIG, encoding="utf-8")
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("inside", ["nothing", "a study"])
def test_a_study_is_not_begun_behind_a_link(
    inside: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    if inside == "a study":
        shutil.copytree(folder, target, dirs_exist_ok=True)
    before = contents(target)
    (tmp_path / "results" / "linked").symlink_to(target)
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    words = ["run", tmp_path / "c.toml", "name=linked", "--results", tmp_path / "results"]
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert f"is a link to {target}: a study is made in a folder of its own" in said
    assert contents(target) == before


def rename(events: Lines, name: Any) -> None:
    """Give a candidate that did not win another name."""
    ids = [event["trial_id"] for event in events if event["kind"] == "candidate"]
    ids.remove(events[-1]["payload"]["winner"])
    for event in events:
        if event["trial_id"] == ids[0]:
            event["trial_id"] = name


READERS = [
    ["show", "small"],
    ["best", "small"],
    ["ls"],
    ["query", "small", "SELECT * FROM trials"],
    ["show", "small", "--why", "x"],
    ["export", "small", "-o", "{out}"],
    ["export", "small", "-o", "{out}", "--trial", "{name}"],
    ["landscape", "small", "-o", "{out}.parquet"],
    ["replay", "small", "--verify"],
    ["resume", "small"],
    ["resume", "small", "--repeat-top", "1"],
]
ANSWERED = (READERS[0], READERS[2], READERS[3])
"""From what stands before the damage, with a note."""


@pytest.mark.parametrize("words", READERS, ids=lambda words: " ".join(words[::2]))
@pytest.mark.parametrize(
    "name",
    ["../../../outside", "/outside", "..", "", ".", "a/b", "a\\b\n", 3, None, ["x"]],
    ids=str,
)
def test_a_trial_is_named_by_no_path(
    words: list[str], name: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(tmp_path / "outside") if name == "/outside" else name
    forge(folder, lambda events: rename(events, name))
    before = contents(tmp_path / "outside")
    out = tmp_path / "out.safetensors"
    given = [word.format(out=out, name=name) for word in words]
    code, said = call(*given, "--results", folder.parent, capsys=capsys)
    assert code == (0 if words in ANSWERED else 2)
    assert "events.jsonl is damaged at line" in said
    assert contents(tmp_path / "outside") == before
    assert not out.exists()


def test_a_forged_table_leads_nowhere(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables are believed where they are of this log; a name in them is still no path."""
    path = folder / "tables" / "trials.parquet"
    table = pq.read_table(path)
    ids = ["../../../outside" if won else "x" for won in table["winner"].to_pylist()]
    place = table.schema.get_field_index("trial_id")
    pq.write_table(table.set_column(place, table.schema.field(place), [ids]), path)
    out = tmp_path / "out.safetensors"
    words = ["export", "small", "-o", out, "--results", folder.parent]
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert "No trial is named '../../../outside': the tables of small are forged" in said
    assert not out.exists()


def test_an_export_takes_the_trials_own_encoder_whatever_checkpoint_the_log_names(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside" / checkpoint.ENCODER

    def change(events: Lines) -> None:
        for event in events:
            if event["payload"].get("stage") == "trained":
                event["payload"]["detail"]["checkpoint"] = str(outside)

    forge(folder, change)
    out = tmp_path / "out.safetensors"
    words = ["export", "small", "-o", out, "--results", folder.parent]
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert "was not kept" in said
    assert not out.exists()


@pytest.mark.parametrize("what", ["trials", "tables", "events.jsonl", "driver.lock", "driver.json"])
def test_a_link_in_a_studys_folder_is_not_written_through(
    what: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "outside" / what
    if (folder / what).exists():
        shutil.move(folder / what, target)
    else:
        target.write_text("mine")
    (folder / what).symlink_to(target)
    before = contents(tmp_path / "outside")
    words = ["resume", "small", "budget.trials=9", "--results", folder.parent]
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert f"{what} is a link to {target}, and a study writes only into its own folder" in said
    assert contents(tmp_path / "outside") == before


def again(events: Lines) -> None:
    """Take a study back to where its last trial had not ended."""
    last = max(n for n, event in enumerate(events) if event["payload"].get("stage") == "measured")
    del events[last:]


@pytest.mark.parametrize("what", ["", "log.txt", "journal.jsonl", "state.pt"])
def test_a_link_in_a_trials_folder_is_not_written_through(
    what: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(folder, again)
    lines = (folder / EVENTS).read_text(encoding="utf-8").splitlines()
    trial = folder / "trials" / json.loads(lines[-1])["trial_id"]
    if what:
        (trial / what).unlink(missing_ok=True)
        (trial / what).symlink_to(tmp_path / "outside" / what)
    else:
        shutil.rmtree(trial)
        trial.symlink_to(tmp_path / "outside")
    before = contents(tmp_path / "outside")
    call("resume", "small", "--results", folder.parent, capsys=capsys)
    assert contents(tmp_path / "outside") == before
    reason = (folder / EVENTS).read_text(encoding="utf-8")
    assert "and a study writes only into its own folder" in reason


def test_a_stopped_trials_folder_that_is_a_link_is_not_cleared(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["resume", "small", "resources.keep=winner", "--results", folder.parent]
    for trial in (folder / "trials").iterdir():
        shutil.rmtree(trial)
        trial.symlink_to(tmp_path / "outside")
    before = contents(tmp_path / "outside")
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert "is a link to" in said
    assert contents(tmp_path / "outside") == before


@pytest.mark.parametrize("what", ["encoder.safetensors", "encoder.json", ""])
def test_a_link_is_not_exported(
    what: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = next((folder / "trials").iterdir())
    outside = tmp_path / "outside"
    for name in ("encoder.safetensors", "encoder.json"):
        shutil.copy(outside / name, trial / name)
    if what:
        (trial / what).unlink()
        (trial / what).symlink_to(outside / what)
    else:
        shutil.rmtree(trial)
        trial.symlink_to(outside)
    out = tmp_path / "out.safetensors"
    words = ["export", "small", "-o", out, "--trial", trial.name, "--results", folder.parent]
    code, said = call(*words, capsys=capsys)
    assert code == 2
    assert "is a link to" in said
    assert not out.exists()
