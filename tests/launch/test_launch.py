"""Studies from birth to end, interrupted in every way a person or a machine knows."""

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
from sweep.config.study import StudyConfig
from sweep.core.errors import StudyError
from sweep.core.events import Event, Observed, StudyBegan, StudyFinished, TrialFailed
from sweep.launch import launch
from sweep.log.study_folder import EVENTS, read_log
from sweep.probes import Fitted, Labelled, Probe
from sweep.probes.knn import knn
from sweep.storage.location import locate
from sweep.tables.results import Results
from tests.processes import wait_until
from tests.small import small_study

ROOT = Path(__file__).parents[2]


def events_of(folder: Path) -> list[Event]:
    return read_log(locate(folder))


def run(study: StudyConfig, results: Path) -> Any:
    return launch.run(study, results=results, warn=lambda sentence: None)


def stages(folder: Path) -> Counter[tuple[str, str, int]]:
    """Return how often each observation stands in the log."""
    return Counter(
        (event.trial_id, event.observation.stage, event.observation.step)
        for event in events_of(folder)
        if isinstance(event, Observed)
    )


def numbers(folder: Path) -> list[dict[str, Any]]:
    """Return what a study found, without its seconds."""
    columns = ["trial_id", "status", "loss", "alpha", "rankme", "accuracy", "winner"]
    return sorted(
        Results(folder).trials.select(columns).to_pylist(), key=lambda row: row["trial_id"]
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nobody interrupted."""
    results = tmp_path_factory.mktemp("whole")
    run(small_study(), results)
    return results / "small"


def driver(results: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a driver of the same study in a process of its own."""
    config = results.parent / "small.json"
    config.write_text(small_study(*overrides).model_dump_json(), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path\n"
        "from sweep.cli import app\n"
        "from sweep.launch import launch\n"
        "from sweep.config.study import StudyConfig\n"
        f"study = StudyConfig.model_validate_json(Path({str(config)!r}).read_text())\n"
        "try:\n"
        f"    launch.run(study, results={str(results)!r}, warn=lambda sentence: None)\n"
        "except launch.Stopped as stopped:\n"
        "    print(stopped); sys.exit(stopped.exit_code)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True
    )


def wait_for(folder: Path, stage: str, count: int, seconds: float = 120.0) -> None:
    """Wait until so many trials have reached a stage."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (folder / EVENTS).exists():
            text = (folder / EVENTS).read_text(encoding="utf-8")
            if text.count(f'"stage":"{stage}"') >= count:
                return
        time.sleep(0.02)
    raise TimeoutError(f"no {count} trials {stage} in {folder}")


def test_a_study_ends_with_a_winner_and_its_test_accuracy(whole: Path) -> None:
    last = events_of(whole)[-1]
    assert isinstance(last, StudyFinished)
    winner = last.outcome.winner
    accuracies = {row["trial_id"]: row["accuracy"] or 0.0 for row in numbers(whole)}
    assert accuracies[winner] == max(accuracies.values())
    assert last.outcome.interval is not None
    assert last.outcome.interval[0] < accuracies[winner] < last.outcome.interval[1]
    tested = [key for key in stages(whole) if key[1] == "tested"]
    assert [trial_id for trial_id, _, _ in tested] == [winner]


def test_stopped_models_keep_no_weights_and_probed_ones_do(whole: Path) -> None:
    for row in Results(whole).trials.to_pylist():
        encoder = whole / "trials" / row["trial_id"] / "encoder.safetensors"
        assert encoder.exists() == (row["status"] == "probed")
        assert (row["checkpoint"] is not None) == (row["status"] == "probed")


@pytest.mark.parametrize("keep", ["all", "winner"])
def test_weights_are_kept_as_the_config_says(tmp_path: Path, keep: str) -> None:
    outcome = run(small_study(f"resources.keep={keep}", "train.epochs=1"), tmp_path)
    kept = {path.parent.name for path in tmp_path.glob("small/trials/*/encoder.safetensors")}
    rows = Results(tmp_path / "small").trials.to_pylist()
    assert kept == ({outcome.winner} if keep == "winner" else {r["trial_id"] for r in rows})
    assert {row["trial_id"] for row in rows if row["checkpoint"]} == kept


@pytest.mark.parametrize("stage", ["trained", "probed"])
def test_a_driver_killed_anywhere_is_gone_on_with_as_if_nothing_had_been(
    whole: Path, tmp_path: Path, stage: str
) -> None:
    folder = tmp_path / "results" / "small"
    process = driver(tmp_path / "results")
    wait_for(folder, stage, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = stages(folder)
    launch.resume(folder)
    after = stages(folder)
    assert max(after.values()) == 1
    assert before <= after
    trained = [key for key in after if key[1] == "trained"]
    began = events_of(folder)[0]
    assert isinstance(began, StudyBegan)
    assert len(trained) == len(began.config["space"]["axes"]["d"]) * 2
    assert numbers(folder) == numbers(whole)
    assert [e.seq for e in events_of(folder)] == list(range(len(events_of(folder))))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_ends_a_driver_resumable(
    whole: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "results" / "small"
    process = driver(tmp_path / "results")
    wait_for(folder, "probed", 1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == code
    assert f"`sweep resume {folder}` goes on" in out
    launch.resume(folder)
    assert max(stages(folder).values()) == 1
    assert numbers(folder) == numbers(whole)


calls = 0


def slow_at_the_test() -> Probe:
    """The nearest-neighbour probe; a process's second one takes a minute, and says so."""

    def probe(train: Labelled, validation: Labelled) -> Fitted:
        global calls
        calls += 1
        if calls == 2:
            Path(os.environ["SWEEP_TEST_BEGAN"]).touch()
            time.sleep(60)
        return knn()(train, validation)

    return probe


def test_a_signal_ends_the_test_of_the_winner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, began = tmp_path / "results" / "small", tmp_path / "began"
    monkeypatch.setenv("SWEEP_TEST_BEGAN", str(began))
    process = driver(
        tmp_path / "results",
        "probe.name=tests.launch.test_launch:slow_at_the_test",
        "rule.name=random",
        "rule.probes=1",
        "train.epochs=1",
    )
    wait_until(began.exists, 120)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert launch.resume(folder).probes_paid == 1
    assert max(stages(folder).values()) == 1
    assert isinstance(events_of(folder)[-1], StudyFinished)


def test_sweep_stop_ends_a_driver_from_another_terminal(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results" / "small"
    process = driver(tmp_path / "results")
    wait_for(folder, "probed", 1)
    assert app.run_command(["stop", "small", "--results", str(tmp_path / "results")]) == 0
    assert f"process {process.pid}" in capsys.readouterr().out
    process.communicate(timeout=20)
    assert process.returncode == 75
    launch.resume(folder)
    assert numbers(folder) == numbers(whole)


def test_a_second_driver_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "small"
    process = driver(tmp_path / "results")
    try:
        wait_for(folder, "trained", 1)
        with pytest.raises(StudyError, match=rf"driven already, by process {process.pid}"):
            launch.resume(folder)
    finally:
        process.kill()
        process.communicate()


def test_resuming_a_finished_study_changes_nothing(tmp_path: Path) -> None:
    first = run(small_study("train.epochs=1"), tmp_path)
    before = numbers(tmp_path / "small")
    log = (tmp_path / "small/events.jsonl").read_bytes()
    again = launch.resume(tmp_path / "small")
    assert again == first
    assert numbers(tmp_path / "small") == before
    assert (tmp_path / "small/events.jsonl").read_bytes() == log


def test_a_larger_budget_probes_who_was_held(tmp_path: Path) -> None:
    outcome = run(small_study("budget.probes=1", "rule.name=all", "train.epochs=1"), tmp_path)
    assert outcome.probes_paid == 1
    statuses = Counter(row["status"] for row in numbers(tmp_path / "small"))
    assert statuses == {"probed": 1, "held": 5}
    outcome = launch.resume(tmp_path / "small", overrides=["budget.probes=4"])
    assert outcome.probes_paid == 4
    assert Results(tmp_path / "small").config.budget.probes == 4
    assert max(stages(tmp_path / "small").values()) == 1


def test_a_larger_space_pretrains_the_new_candidates_only(tmp_path: Path) -> None:
    run(small_study("train.epochs=1", "rule.name=all"), tmp_path)
    before = stages(tmp_path / "small")
    outcome = launch.resume(tmp_path / "small", overrides=["space.axes.d=[8, 16, 32, 64]"])
    assert outcome.probes_paid == 8
    after = stages(tmp_path / "small")
    assert {k: n for k, n in after.items() if k in before and k[1] != "tested"} == {
        k: n for k, n in before.items() if k[1] != "tested"
    }


def test_other_images_than_those_of_the_study_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    pictures = tmp_path / "pictures"
    for label in "ab":
        (pictures / label).mkdir(parents=True)
        for number in range(90):
            shade = Image.new("RGB", (8, 8), (number, 2 * number, ord(label)))
            shade.save(pictures / label / f"{number}.png")
    data = f"data={{path={str(pictures)!r}}}"
    run(small_study(data, "train.batch=32", "criteria.images=100", "train.epochs=1"), tmp_path)
    Image.new("RGB", (8, 8)).save(pictures / "a" / "new.png")
    with pytest.raises(StudyError, match=r"are not those that the study in .* began with"):
        launch.resume(tmp_path / "small", overrides=["budget.probes=3"])


OWN = '''
import json, sys
from pathlib import Path
from sweep import Measure, Observation

def trial(config, context):
    """Training code of one's own; the first attempt of one candidate fails."""
    tries = Path(context.folder) / "tries"
    tries.write_text((tries.read_text() if tries.exists() else "") + "x")
    print("hello from", config.options["number"])
    if config.options["number"] == 2 and len(tries.read_text()) == 1:
        raise ValueError("bad luck")
    if config.options["number"] == 3 and len(tries.read_text()) == 1:
        sys.exit("enough")
    alpha = Measure(name="alpha", value=1.0 + config.options["number"])
    yield Observation(stage="measured", step=1, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.1 * config.options["number"])
    yield Observation(stage="probed", step=1, measures=(accuracy,))
'''

OWN_CONFIG = """
name = "own"
trial = "own_training:trial"
[space.axes]
"options.number" = [1, 2, 3, 4, 5, 6]
[rule]
name = "all"
[resources]
runner = "local"
"""


def test_training_code_of_ones_own_is_run_retried_and_logged(tmp_path: Path) -> None:
    (tmp_path / "own_training.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "own.toml").write_text(OWN_CONFIG, encoding="utf-8")
    outcome = launch.run(tmp_path / "own.toml", results=tmp_path / "results", warn=print)
    rows = {r["options_number"]: r for r in Results(tmp_path / "results/own").trials.to_pylist()}
    assert outcome.accuracy == pytest.approx(0.6)
    assert rows[2]["status"] == "probed"
    assert rows[2]["attempt"] == 2
    log = tmp_path / "results/own/trials" / rows[2]["trial_id"] / "log.txt"
    assert "hello from 2" in log.read_text(encoding="utf-8")
    assert "ValueError: bad luck" in log.read_text(encoding="utf-8")
    failures = [e for e in events_of(tmp_path / "results/own") if isinstance(e, TrialFailed)]
    assert {e.failure.error for e in failures} == {"ValueError: bad luck", "SystemExit: enough"}
    failure = next(e for e in failures if "luck" in e.failure.error)
    assert failure.failure.error == "ValueError: bad luck"
    assert failure.final is False
    assert "Traceback" in failure.failure.traceback


def test_results_that_cannot_be_written_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "own_training.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "own.toml").write_text(OWN_CONFIG, encoding="utf-8")
    words = ["run", str(tmp_path / "own.toml"), "--results", str(tmp_path / "file" / "r")]
    assert app.run_command(words) == 2
    assert "Results cannot be written to" in capsys.readouterr().err


def test_a_driver_that_died_before_its_first_event_left_nothing_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / EVENTS).touch()
    run(small_study("train.epochs=1", "rule.name=none"), tmp_path)
    assert json.loads((folder / EVENTS).read_text().splitlines()[0])["kind"] == "study"
