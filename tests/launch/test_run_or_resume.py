"""One command that begins a study, continues it, and prints it: `sweep run --or-resume`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sweep.cli import app
from sweep.core.errors import ConfigError, Resumable, StudyError
from sweep.core.events import BudgetChanged, Event, Observed, SessionBegan, StudyBegan
from sweep.launch import launch
from sweep.launch.run_or_resume import run_or_resume
from sweep.log.study_folder import EVENTS, read_log
from sweep.storage.location import locate
from sweep.tables.results import Results
from tests.processes import wait_until
from tests.small import small_study

ROOT = Path(__file__).parents[2]
OWN = '''
import time
from pathlib import Path
from sweep import Measure, Observation

def trial(config, context):
    """Training code of one's own; candidate 5 says that it waits, and waits for the file `go`."""
    number = config.options["number"]
    tries = Path(context.folder) / "tries"
    tries.write_text((tries.read_text() if tries.exists() else "") + "x")
    if len(tries.read_text()) <= config.options.get("failures", 0):
        raise ValueError("bad luck")
    while number == 5 and not Path(config.options["go"]).exists():
        Path(config.options["go"] + ".waits").touch()
        time.sleep(0.02)
    alpha = Measure(name="alpha", value=1.0 + number)
    yield Observation(stage="measured", step=1, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.1 * number)
    yield Observation(stage="probed", step=1, measures=(accuracy,))
'''
CONFIG = """
name = "own"
trial = "own_code:trial"
options = {{ go = "{go}" }}
[space.axes]
"options.number" = [1, 2, 3, 4, 5, 6]
[rule]
name = "all"
[resources]
runner = "local"
retries = 0
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A study whose driver waits for the file `go` amid it; the file is there."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "own_code.py").write_text(OWN, encoding="utf-8")
    (folder / "own.toml").write_text(CONFIG.format(go=tmp_path / "go"), encoding="utf-8")
    (tmp_path / "go").touch()
    return folder / "own.toml"


def start(config: Path, results: Path, *words: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "sweep.cli", "run", str(config), "--or-resume", *words]
    return subprocess.Popen(
        [*command, "--results", str(results)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def events(results: Path, name: str = "own") -> list[Event]:
    return read_log(locate(results / name))


def count(found: list[Event], kind: type[Event]) -> int:
    return sum(isinstance(event, kind) for event in found)


def again(config: Any, results: Path, *overrides: str, **more: Any) -> Any:
    return run_or_resume(config, results=results, overrides=overrides, warn=print, **more)


def test_a_study_is_run_and_a_finished_one_only_returned(config: Path, tmp_path: Path) -> None:
    outcome = again(config, tmp_path)
    log = (tmp_path / "own" / EVENTS).read_bytes()
    assert outcome.accuracy == pytest.approx(0.6)
    for overrides in ((), ("resources.heartbeat_seconds=3", "resources.retries=0")):
        assert again(config, tmp_path, *overrides) == outcome
    assert (tmp_path / "own" / EVENTS).read_bytes() == log


def test_another_config_is_refused_with_the_keys_that_differ(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again(config, tmp_path)
    words = ["run", str(config), "--results", str(tmp_path), "train.epochs=7", "seed=3"]
    assert app.run_command([*words, "--or-resume"]) == 2
    error = capsys.readouterr().err
    assert "began with another config" in error
    assert "seed (0 to 3), train.epochs (" in error
    assert app.run_command(words) == 2
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(StudyError, match=r"rule\.name \('all' to 'auto'\)"):
        again(config, tmp_path, "rule.name=auto")
    with pytest.raises(StudyError, match="may only enlarge the space"):
        again(config, tmp_path, "space.axes.options.number=[1, 2]")


def test_a_larger_budget_and_a_larger_space_are_taken_up(config: Path, tmp_path: Path) -> None:
    assert again(config, tmp_path, "budget.probes=2").probes_paid == 2
    assert again(config, tmp_path, "budget.probes=4").probes_paid == 4
    assert again(config, tmp_path).probes_paid == 6
    larger = ["space.axes.options.number=[1, 2, 3, 4, 5, 6, 7]"]
    assert again(config, tmp_path, *larger).accuracy == pytest.approx(0.7)
    probes = [e for e in events(tmp_path) if isinstance(e, Observed)]
    assert sum(e.observation.stage == "probed" for e in probes) == 7
    assert count(events(tmp_path), StudyBegan) == 1


def test_the_same_data_may_lie_elsewhere(tmp_path: Path) -> None:
    for name, shade in (("here", 0), ("there", 0), ("other", 1)):
        for label in "ab":
            (tmp_path / name / label).mkdir(parents=True)
            for number in range(60):
                image = Image.new("RGB", (8, 8), (number + shade, 2 * number, ord(label)))
                image.save(tmp_path / name / label / f"{number}.png")
    small = ["train.batch=32", "criteria.images=60", "train.epochs=1", "rule.name=all"]

    def at(name: str, probes: int) -> Any:
        data = f"data={{path={str(tmp_path / name)!r}}}"
        return again(small_study(data, *small, f"budget.probes={probes}"), tmp_path)

    assert at("here", 1).probes_paid == 1
    assert at("there", 2).probes_paid == 2
    with pytest.raises(StudyError, match="are not those that the study"):
        at("other", 3)


def test_a_study_that_failed_fails_again_unless_it_may_try_more_often(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(config), "--or-resume", "--results", str(tmp_path), "options.failures=1"]
    for _ in range(2):
        assert app.run_command(words) == 1
        assert "Every trial failed" in capsys.readouterr().err
    assert count(events(tmp_path), SessionBegan) == 1
    assert app.run_command([*words, "resources.retries=1"]) == 0
    rows = Results(tmp_path / "own").trials.to_pylist()
    assert {(row["status"], row["attempt"]) for row in rows} == {("probed", 2)}
    assert app.run_command(["replay", str(tmp_path / "own"), "--verify"]) == 0


def test_a_killed_driver_is_gone_on_with(config: Path, tmp_path: Path) -> None:
    (tmp_path / "go").unlink()
    process = start(config, tmp_path)
    try:
        wait_until(lambda: process.poll() is not None or (tmp_path / "go.waits").exists())
        assert process.poll() is None, process.communicate()
        with pytest.raises(
            Resumable, match=rf"by process {process.pid}.* The same command"
        ) as held:
            again(config, tmp_path, wait_seconds=1)
        assert held.value.exit_code == 75
    finally:
        process.kill()
        process.communicate()
    (tmp_path / "go").touch()
    assert again(config, tmp_path).accuracy == pytest.approx(0.6)
    found = events(tmp_path)
    assert (count(found, StudyBegan), count(found, SessionBegan)) == (1, 2)
    assert count(found, BudgetChanged) == 0


def test_of_two_commands_at_once_one_runs_and_the_other_waits(config: Path, tmp_path: Path) -> None:
    (tmp_path / "go").unlink()
    both = [start(config, tmp_path) for _ in range(2)]
    try:
        wait_until((tmp_path / "go.waits").exists)
        (tmp_path / "go").touch()
        printed = [process.communicate(timeout=60)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], printed
    assert all("winner" in text for text in printed)
    found = events(tmp_path)
    assert count(found, StudyBegan) == 1
    assert count(found, SessionBegan) == 1


def test_a_study_whose_rule_was_chosen_is_continued_and_chooses_once(tmp_path: Path) -> None:
    study = small_study("train.epochs=1", rule={})
    assert again(study, tmp_path) == again(study, tmp_path)
    with pytest.raises(StudyError, match=r"rule\.name \('goldilocks' to 'all'\)"):
        again(small_study("train.epochs=1", rule={"name": "all"}), tmp_path)
    assert count(events(tmp_path, "small"), StudyBegan) == 1


def test_plugins_are_found_where_the_first_driver_ran_or_where_the_next_one_says(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(config, tmp_path, "budget.probes=1")
    other = tmp_path / "other_node"
    config.parent.rename(other)
    monkeypatch.setattr("sweep.core.plugins._FOLDERS", [])
    without = [path for path in sys.path if not (Path(path) / "own_code.py").exists()]
    monkeypatch.setattr(sys, "path", [path for path in without if path != str(config.parent)])
    monkeypatch.delitem(sys.modules, "own_code")
    with pytest.raises(ConfigError, match="own_code"):
        launch.resume(tmp_path / "own", overrides=["budget.probes=2"])
    with pytest.raises(ConfigError, match="--plugins nowhere is not a folder"):
        launch.resume(tmp_path / "own", overrides=["budget.probes=2"], plugins="nowhere")
    outcome = launch.resume(tmp_path / "own", overrides=["budget.probes=2"], plugins=other)
    assert outcome.probes_paid == 2
    monkeypatch.chdir(other)
    assert launch.resume(tmp_path / "own", overrides=["budget.probes=3"]).probes_paid == 3
