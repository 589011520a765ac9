"""No name and no link in a config or a log of another person leads out of the results folder."""

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
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("results"))


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished study; the folder `outside` beside the results is not the study's."""
    shutil.copytree(finished, tmp_path / "results" / "small")
    outside = tmp_path / "outside"
    outside.mkdir()
    encoder = build(EncoderConfig(name="small_conv"), (1, 8, 8))
    checkpoint.save_encoder(locate(outside / checkpoint.ENCODER), encoder, {"secret": True})
    for name in ("state.pt", "log.txt", "journal.jsonl"):
        (outside / name).write_text("mine\n")
    return tmp_path / "results" / "small"


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return a command's exit code and its output on standard error."""
    code = app.run_command([str(word) for word in words])
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return code, errors


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


NAMES = ["..", "../outside", "/tmp/outside", "a/b", ".", "", "~", "-x", "a\n", "a\0b", "a" * 101]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_not_a_name_of_a_study(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG, encoding="utf-8")
    words = ["run", path, "--results", tmp_path / "results"]
    code, errors = call(*words, f"name={json.dumps(name)}", capsys=capsys)
    assert code == 2
    assert "name is " in errors
    path.write_text(f"name = {json.dumps(name)}\n" + CONFIG, encoding="utf-8")
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("inside", ["nothing", "a study"])
def test_a_study_is_not_started_in_a_linked_folder(
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
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert f"is a link to {target}: a study is made in a folder of its own" in errors
    assert contents(target) == before


def rename(events: Lines, name: Any) -> None:
    """Change the trial id of a candidate that did not win."""
    ids = [event["trial_id"] for event in events if event["kind"] == "candidate"]
    ids.remove(events[-1]["outcome"]["winner"])
    for event in events:
        if event.get("trial_id") == ids[0]:
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
"""These commands answer from the events before the damage, with a note."""


@pytest.mark.parametrize("words", READERS, ids=lambda words: " ".join(words[::2]))
@pytest.mark.parametrize(
    "name",
    ["../../../outside", "/outside", "..", "", ".", "a/b", "a\\b\n", 3, None, ["x"]],
    ids=str,
)
def test_a_path_is_not_a_name_of_a_trial(
    words: list[str], name: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(tmp_path / "outside") if name == "/outside" else name
    forge(folder, lambda events: rename(events, name))
    before = contents(tmp_path / "outside")
    out = tmp_path / "out.safetensors"
    arguments = [word.format(out=out, name=name) for word in words]
    code, errors = call(*arguments, "--results", folder.parent, capsys=capsys)
    assert code == (0 if words in ANSWERED else 2)
    assert "events.jsonl is damaged at line" in errors
    assert contents(tmp_path / "outside") == before
    assert not out.exists()


def test_a_name_in_a_forged_table_is_not_used_as_a_path(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables of this log are read; a name in them is not used as a path all the same."""
    path = folder / "tables" / "trials.parquet"
    table = pq.read_table(path)
    ids = ["../../../outside" if won else "x" for won in table["winner"].to_pylist()]
    index = table.schema.get_field_index("trial_id")
    pq.write_table(table.set_column(index, table.schema.field(index), [ids]), path)
    out = tmp_path / "out.safetensors"
    words = ["export", "small", "-o", out, "--results", folder.parent]
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert (
        "'../../../outside' cannot be the name of a trial: the tables of small are forged" in errors
    )
    assert not out.exists()


def test_an_export_reads_only_the_encoder_in_the_trials_own_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside" / checkpoint.ENCODER

    def change(events: Lines) -> None:
        for event in events:
            observation = event.get("observation", {})
            if observation.get("stage") == "trained":
                observation["detail"]["checkpoint"] = str(outside)

    forge(folder, change)
    out = tmp_path / "out.safetensors"
    words = ["export", "small", "-o", out, "--results", folder.parent]
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert "was not kept" in errors
    assert not out.exists()


@pytest.mark.parametrize("name", ["trials", "tables", "events.jsonl", "driver.lock", "driver.json"])
def test_a_link_in_a_studys_folder_is_not_written_through(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "outside" / name
    if (folder / name).exists():
        shutil.move(folder / name, target)
    else:
        target.write_text("mine")
    (folder / name).symlink_to(target)
    before = contents(tmp_path / "outside")
    words = ["resume", "small", "budget.trials=9", "--results", folder.parent]
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert f"{name} is a link to {target}, and a study writes only into its own folder" in errors
    assert contents(tmp_path / "outside") == before


def reopen(events: Lines) -> None:
    """Take a study back to where its last trial had not ended."""
    measured = [event.get("observation", {}).get("stage") == "measured" for event in events]
    last = max(number for number, is_measured in enumerate(measured) if is_measured)
    del events[last:]


@pytest.mark.parametrize("file", ["", "log.txt", "journal.jsonl", "state.pt"])
def test_a_link_in_a_trials_folder_is_not_written_through(
    file: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(folder, reopen)
    lines = (folder / EVENTS).read_text(encoding="utf-8").splitlines()
    trial = folder / "trials" / json.loads(lines[-1])["trial_id"]
    if file:
        (trial / file).unlink(missing_ok=True)
        (trial / file).symlink_to(tmp_path / "outside" / file)
    else:
        shutil.rmtree(trial)
        trial.symlink_to(tmp_path / "outside")
    before = contents(tmp_path / "outside")
    call("resume", "small", "--results", folder.parent, capsys=capsys)
    assert contents(tmp_path / "outside") == before
    log = (folder / EVENTS).read_text(encoding="utf-8")
    assert "and a study writes only into its own folder" in log


def test_the_folder_of_a_stopped_trial_is_not_emptied_through_a_link(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["resume", "small", "resources.keep=winner", "--results", folder.parent]
    for trial in (folder / "trials").iterdir():
        shutil.rmtree(trial)
        trial.symlink_to(tmp_path / "outside")
    before = contents(tmp_path / "outside")
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert "is a link to" in errors
    assert contents(tmp_path / "outside") == before


@pytest.mark.parametrize("file", ["encoder.safetensors", "encoder.json", ""])
def test_a_link_is_not_exported(
    file: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = next((folder / "trials").iterdir())
    outside = tmp_path / "outside"
    for name in ("encoder.safetensors", "encoder.json"):
        shutil.copy(outside / name, trial / name)
    if file:
        (trial / file).unlink()
        (trial / file).symlink_to(outside / file)
    else:
        shutil.rmtree(trial)
        trial.symlink_to(outside)
    out = tmp_path / "out.safetensors"
    words = ["export", "small", "-o", out, "--trial", trial.name, "--results", folder.parent]
    code, errors = call(*words, capsys=capsys)
    assert code == 2
    assert "is a link to" in errors
    assert not out.exists()
