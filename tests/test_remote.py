"""Studies on an object store, from birth to end, with more than one driver about."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import app
from sweep.core.errors import Resumable, StudyError
from sweep.core.events import Event, Observed, StudyFinished
from sweep.launch import launch
from sweep.launch.run_or_resume import run_or_resume
from sweep.log.study_folder import is_study, read_log
from sweep.storage import lease
from sweep.storage.location import Location, locate
from sweep.tables.results import Results, load
from tests.cli.test_app import TINY
from tests.faults import Act, faulty
from tests.object_store import Road
from tests.small import small_study

ROOT = Path(__file__).parent.parent
ENV = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def events_of(folder: Location) -> list[Event]:
    return read_log(folder)


def observations(folder: Location) -> Counter[tuple[str, str, int]]:
    """Return how often each observation stands in the log."""
    return Counter(
        (event.trial_id, event.observation.stage, event.observation.step)
        for event in events_of(folder)
        if isinstance(event, Observed)
    )


def numbers(folder: Location) -> list[dict[str, Any]]:
    """Return what a study found, without its seconds."""
    columns = ["trial_id", "status", "loss", "alpha", "rankme", "accuracy", "winner"]
    rows = Results(folder).trials.select(columns).to_pylist()
    return sorted(rows, key=lambda row: str(row["trial_id"]))


class Killed(BaseException):
    """As a kill would come: nobody catches it."""


# Real training -----------------------------------------------------------------------


def test_a_study_on_an_object_store_goes_on_after_a_kill_as_on_a_disk(
    bucket: Location, tmp_path: Path
) -> None:
    config = small_study("resources.keep=winner", "train.epochs=1")
    launch.run(config, results=tmp_path, warn=lambda sentence: None)
    left = iter(range(3))

    def dying(act: Act) -> Any:
        of_encoder = (act.name, act.path.name) == ("write", "encoder.safetensors")
        if of_encoder and next(left, None) is None:
            raise Killed
        return act.run()

    with pytest.raises(Killed):
        launch.run(config, results=faulty(bucket, dying), warn=lambda sentence: None)
    folder = bucket / "small"
    before = observations(folder)
    outcome = launch.resume(str(folder))
    after = observations(folder)
    assert before <= after
    assert max(after.values()) == 1
    assert numbers(folder) == numbers(locate(tmp_path / "small"))
    kept = [name for name in (folder / "trials").names() if _has_encoder(folder, name)]
    assert kept == [outcome.winner]
    assert load(str(folder)).name == "small"
    about = load(folder).config
    assert about.resources.keep == "winner"


def _has_encoder(folder: Location, trial_id: str) -> bool:
    names = (folder / "trials" / trial_id).names()
    assert ("encoder.json" in names) == ("encoder.safetensors" in names)
    return "encoder.json" in names


def test_the_command_line_and_ray_take_an_object_store_for_a_folder(
    bucket: Location, tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.replace('"local"', '"ray"'), encoding="utf-8")
    target = tmp_path / "encoder.safetensors"

    def sweep(*words: object) -> str:
        command = [
            sys.executable,
            "-m",
            "sweep.cli",
            *map(str, words),
            "--results",
            str(bucket),
        ]
        env = {**os.environ, **ENV}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    out = sweep("run", tmp_path / "tiny.toml", "resources.parallel=2")
    assert f"sweep query {bucket}/tiny" in out
    rows = json.loads(sweep("query", "tiny", "SELECT * FROM trials", "--json"))
    assert [row["status"] for row in rows] == ["probed"] * 4
    winner = next(row for row in rows if row["winner"])
    assert winner["checkpoint"] == f"{bucket}/tiny/trials/{winner['trial_id']}/encoder.safetensors"
    assert winner["trial_id"] in sweep("export", "tiny", "-o", target)
    import sweep as package

    assert package.load_encoder(target).about["trial_id"] == winner["trial_id"]
    assert package.load_encoder(winner["checkpoint"]).shape == (1, 8, 8)


# Several drivers ---------------------------------------------------------------------

OWN = '''
import time
from sweep import Measure, Observation

def trial(config, context):
    """Training code of one's own, which writes into its folder wherever that is."""
    print("hello from", config.options["number"])
    note = context.folder / "note.txt"
    first = not note.exists()
    note.write_text("mine")
    if config.options["number"] == 2 and first:
        for step in range(config.options["naps"]):
            time.sleep(0.05)
            yield Observation(stage="pretrain", step=step, fraction=0.5)
    alpha = Measure(name="alpha", value=1.0 + config.options["number"])
    yield Observation(stage="measured", step=1000, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.1 * config.options["number"])
    yield Observation(stage="probed", step=1000, measures=(accuracy,))
'''

OWN_CONFIG = """
name = "own"
trial = "own_afar:trial"
[space.axes]
"options.number" = [1, 2, 3]
"options.naps" = [400]
[rule]
name = "all"
[resources]
runner = "local"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    (tmp_path / "own_afar.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "own.toml").write_text(OWN_CONFIG, encoding="utf-8")
    return tmp_path / "own.toml"


def drive(toml: Path, results: Location) -> subprocess.Popen[str]:
    """Start a driver in a process of its own, and wait until it is in the middle of a trial."""
    command = [sys.executable, "-m", "sweep.cli", "run", str(toml), "--results", str(results)]
    process = subprocess.Popen(
        [*command, "--quiet"], env={**os.environ, **ENV}, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not any(step == 3 for _, _, step in _so_far(results / "own")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.3)
    return process


def _so_far(folder: Location) -> Counter[tuple[str, str, int]]:
    return observations(folder) if is_study(folder) else Counter()


def test_a_second_driver_is_refused_and_a_killed_ones_study_is_gone_on_with(
    bucket: Location, toml: Path
) -> None:
    folder, process = bucket / "own", drive(toml, bucket)
    with pytest.raises(StudyError, match=rf"driven already, by process {process.pid} on .* old"):
        launch.resume(folder)
    with pytest.raises(Resumable, match="The same command goes on when it has ended"):
        run_or_resume(toml, results=bucket, wait_seconds=0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    acknowledged = events_of(folder)
    outcome = run_or_resume(toml, results=bucket)
    assert events_of(folder)[: len(acknowledged)] == acknowledged
    assert max(observations(folder).values()) == 1
    assert outcome.accuracy == pytest.approx(0.3)
    for trial_id in (folder / "trials").names():
        assert (folder / "trials" / trial_id / "note.txt").read() == b"mine"
        assert (folder / "trials" / trial_id / "log.txt").read().startswith(b"hello from ")


def test_a_driver_that_sleeps_is_taken_over_and_ends_resumable_when_it_wakes(
    bucket: Location, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, process = bucket / "own", drive(toml, bucket)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(lease, "DEAD_SECONDS", 0.0)
    outcome = launch.resume(folder)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "Another driver " in said
    assert "Every event in the log is kept" in said
    events = events_of(folder)
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(events[-1], StudyFinished)
    assert max(observations(folder).values()) == 1
    assert outcome.accuracy == pytest.approx(0.3)


def test_a_driver_is_stopped_from_another_machine(
    bucket: Location, toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = drive(toml, bucket)
    assert app.run_command(["stop", "own", "--results", str(bucket)]) == 0
    assert f"process {process.pid}" in capsys.readouterr().out
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert f"`sweep resume {bucket}/own` goes on" in said
    assert lease.holder_of(bucket / "own") is None


# Stores that are not as they should be -----------------------------------------------


def test_a_store_that_ignores_conditions_is_warned_of(
    road: Road, bucket: Location, toml: Path
) -> None:
    road.bare = True
    toml.write_text(OWN_CONFIG.replace("400", "1"), encoding="utf-8")
    said: list[str] = []
    launch.run(toml, results=locate(str(bucket)), warn=said.append)
    assert len([s for s in said if "ignores the conditions of a PUT" in s]) == 1


def test_a_store_that_fails_in_the_middle_ends_the_study_resumable(
    road: Road,
    bucket: Location,
    toml: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    toml.write_text(OWN_CONFIG.replace("400", "1"), encoding="utf-8")
    road.refuse = lambda method, path: "0000000009.json" in path
    code = app.run_command(["run", str(toml), "--results", str(bucket), "--quiet"])
    assert code == 75
    said = capsys.readouterr().err
    assert (
        f"cannot be written: Service Unavailable. Put that right, then `sweep resume {bucket}/"
        in said
    )
    road.refuse = lambda method, path: False
    launch.resume(bucket / "own")
    assert max(observations(bucket / "own").values()) == 1


def test_a_store_that_is_not_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, toml: Path, s3_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(toml), "--results", "s3://nobodys/x"]
    assert app.run_command(words) == 2
    assert (
        "cannot be used: The specified bucket does not exist. Set the store's"
        in capsys.readouterr().err
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for words in (["ls"], ["show", "own"], ["run", str(toml)]):
        assert app.run_command([*words, "--results", "s3://nowhere/y"]) == 2
        assert "Could not connect to the endpoint URL" in capsys.readouterr().err
