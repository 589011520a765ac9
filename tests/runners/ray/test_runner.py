"""Our own studies on a real Ray: the same verdicts and numbers as in process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ray

from sweep.cli import app
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError, Resumable
from sweep.core.events import (
    CandidateAdded,
    Decided,
    Event,
    Idled,
    Observed,
    StudyFinished,
    TrialFailed,
    TrialStarted,
)
from sweep.core.records import Observation
from sweep.launch import launch
from sweep.log.log import MemoryLog
from sweep.log.study_folder import EVENTS, read_log
from sweep.pretraining.parallel.processes import BOOT
from sweep.replay.verify import verify_study
from sweep.rules import bind
from sweep.runners.ray.cluster import check_address
from sweep.storage.location import locate
from sweep.study import Study
from sweep.tables.results import Results
from tests.processes import (
    MARK,
    descendants_with,
    end_group,
    marked,
    wait_for_end_of_all,
    wait_until,
)
from tests.small import small_study

pytestmark = pytest.mark.usefixtures("ray_cluster")

ROOT = Path(__file__).parents[3]
RAY = ("resources.runner=ray", "resources.parallel=2")


def run(study: StudyConfig, results: Path) -> Any:
    return launch.run(study, results=results, warn=lambda sentence: None)


def events_of(folder: Path) -> list[Event]:
    return read_log(locate(folder))


def verdicts(events: list[Event]) -> list[tuple[str, str, str]]:
    return [
        (event.trial_id, event.action, event.reason)
        for event in events
        if isinstance(event, Decided)
    ]


@pytest.fixture(scope="module")
def study_on_ray(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    results = tmp_path_factory.mktemp("ray")
    run(small_study(*RAY, "rule.sync=true"), results)
    return results / "small"


def test_trials_give_the_numbers_that_they_give_in_process(
    study_on_ray: Path, tmp_path: Path
) -> None:
    run(small_study("rule.sync=true"), tmp_path)
    columns = ["trial_id", "status", "loss", "alpha", "rankme", "accuracy", "test_accuracy"]
    tables = (Results(f).trials.select(columns) for f in (study_on_ray, tmp_path / "small"))
    one, other = (sorted(t.to_pylist(), key=lambda row: row["trial_id"]) for t in tables)
    assert one == other


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a trial needs a core for each process")
def test_a_trial_with_two_processes_gives_the_numbers_of_one(
    study_on_ray: Path, tmp_path: Path
) -> None:
    keys = ("resources.runner=ray", "resources.processes=2", "rule.name=all")
    point = ("space.axes={}", "space.points=[{d=8,lambd=0.005}]")
    run(small_study(*keys, *point), tmp_path)
    (two,) = Results(tmp_path / "small").trials.to_pylist()
    (one,) = [
        row
        for row in Results(study_on_ray).trials.to_pylist()
        if row["trial_id"] == two["trial_id"]
    ]
    assert two["loss"] == pytest.approx(one["loss"], rel=0.02)
    assert two["alpha"] == pytest.approx(one["alpha"], rel=0.02)
    wait_until(lambda: not descendants_with(BOOT))


def test_the_same_events_give_the_same_verdicts_without_ray(study_on_ray: Path) -> None:
    events = events_of(study_on_ray)
    config = Results(study_on_ray).config
    replay = Study(rule=bind(config.rule).make(), log=MemoryLog())
    for event in events:
        match event:
            case CandidateAdded():
                replay.add(event.trial_id, event.point, event.config)
            case TrialStarted():
                replay.start(event.trial_id)
            case Observed():
                replay.observe(event.trial_id, event.observation)
            case Idled():
                replay.next()
    assert verdicts(list(replay.events())) == verdicts(events)


def test_two_trials_are_at_work_at_once_and_no_more(study_on_ray: Path) -> None:
    working: set[str] = set()
    most = 0
    for event in events_of(study_on_ray):
        match event:
            case TrialStarted():
                working.add(event.trial_id)
            case (
                Decided(action="hold" | "stop") | Observed(observation=Observation(stage="probed"))
            ):
                working.discard(event.trial_id)
        most = max(most, len(working))
    assert most == 2


MISBEHAVING = """
import os, re
from pathlib import Path
from sweep import Measure, Observation

class Odd(Exception):  # cannot be unpickled
    def __init__(self, one, other):
        super().__init__(one + other)

def trial(config, context):
    act = config.options["act"]
    tries = Path(context.folder) / "tries"
    first = not tries.exists()
    tries.touch()
    if act == "raise":
        raise Odd("never", " works")
    if first:
        yield Observation(stage="pretrain", step=1, fraction=0.5)
        if act == "exit":
            os._exit(3)  # as the kernel's out-of-memory killer would
        if act == "eat":
            bytearray(1 << 60)
        if act == "hang":
            re.match("(a+)+$", 60 * "a" + "b")  # in C, for years, and holding on to the GIL
    alpha = Measure(name="alpha", value=float(len(act)))
    yield Observation(stage="measured", step=2, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.1 * len(act))
    yield Observation(stage="probed", step=2, measures=(accuracy,))
"""

MISBEHAVING_CONFIG = """
name = "wild"
trial = "misbehaving:trial"
[space.axes]
"options.act" = ["raise", "exit", "eat", "hang", "behave"]
[rule]
name = "all"
[resources]
parallel = 2
heartbeat_seconds = 1.0
hang_seconds = 15.0
"""


def test_trials_that_misbehave_are_rows_and_stop_no_other(tmp_path: Path) -> None:
    (tmp_path / "misbehaving.py").write_text(MISBEHAVING, encoding="utf-8")
    (tmp_path / "wild.toml").write_text(MISBEHAVING_CONFIG, encoding="utf-8")
    outcome = launch.run(tmp_path / "wild.toml", results=tmp_path, warn=lambda sentence: None)
    rows = {row["options_act"]: row for row in Results(tmp_path / "wild").trials.to_pylist()}
    raised = rows.pop("raise")
    assert (raised["status"], raised["attempt"]) == ("failed", 2)
    assert {row["status"] for row in rows.values()} == {"probed"}
    assert rows.pop("behave")["attempt"] == 1
    assert {row["attempt"] for row in rows.values()} == {2}
    assert outcome.probes_paid == 4
    failures = [e for e in events_of(tmp_path / "wild") if isinstance(e, TrialFailed)]
    of = {e.trial_id: e.failure for e in failures}
    assert len(failures) == len(of) + 1 == 5  # one was tried twice
    assert "misbehaving.Odd: never works" in of[raised["trial_id"]].traceback
    assert {name: of[row["trial_id"]].cause for name, row in rows.items()} == {
        "exit": "worker died",
        "eat": "out of memory",
        "hang": "hang",
    }
    assert "resources.hang_seconds" in of[rows["hang"]["trial_id"]].error


UNIMPORTABLE = """
import sys
if "default_worker" in sys.argv[0]:
    raise ImportError("not on this machine")

def trial(config, context):
    yield
"""


def test_a_study_whose_trials_cannot_start_says_so_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unimportable.py").write_text(UNIMPORTABLE, encoding="utf-8")
    config = tmp_path / "lost.toml"
    config.write_text('trial = "unimportable:trial"\n[space.axes]\n"options.a" = [1, 2]\n')
    words = ["run", str(config), "--results", str(tmp_path), "resources.retries=0", "--quiet"]
    assert app.run_command(words) == 1
    said = capsys.readouterr()
    assert "failed  2 attempts: 2 start" in said.out
    assert "not on this machine" in said.out
    assert "Every trial failed." in said.err


FAILING = """
from sweep import Measure, Observation

def trial(config, context):
    for step in range(4):
        yield Observation(stage="pretrain", step=step, fraction=0.5)
    results = context.folder.parent.parent
    lost = results.with_name("lost")
    if config.options["number"] == 2 and not lost.with_name("once").exists():
        lost.with_name("once").touch()
        results.rename(lost)
    alpha = Measure(name="alpha", value=1.0)
    yield Observation(stage="measured", step=9, measures=(alpha,))
    yield Observation(stage="probed", step=9, measures=(Measure(name="accuracy", value=0.5),))
"""


FAILING_CONFIG = """
name = "fails"
trial = "failing:trial"
[space.axes]
"options.number" = [1, 2, 3, 4]
[rule]
name = "all"
[resources]
parallel = 2
"""


def test_storage_that_fails_in_the_middle_ends_a_study_resumable(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    (tmp_path / "fails.toml").write_text(FAILING_CONFIG, encoding="utf-8")
    with pytest.raises(Resumable, match=r"events.jsonl cannot be written: No such file .* resume"):
        launch.run(tmp_path / "fails.toml", results=tmp_path, warn=lambda sentence: None)
    shutil.rmtree(tmp_path / "fails", ignore_errors=True)  # of a trial that began meanwhile
    (tmp_path / "lost").rename(tmp_path / "fails")
    outcome = launch.resume(tmp_path / "fails", overrides=["resources.runner=local"])
    assert outcome.probes_paid == 4
    seen = Counter(
        (event.trial_id, event.observation.stage, event.observation.step)
        for event in events_of(tmp_path / "fails")
        if isinstance(event, Observed)
    )
    assert set(seen.values()) == {1}


def start_driver(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start `sweep` in a process group of its own, with a Ray of its own unless words say so."""
    config = folder / "small.toml"
    config.write_text(SMALL_TOML, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(folder)}
    env.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "sweep.cli", "run", str(config), "--results", str(folder)]
    return subprocess.Popen(
        [*command, *words],
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


SMALL_TOML = """
name = "small"
[data]
name = "digits"
limit = 700
[encoder]
name = "small_conv"
[augment]
flip = 0.0
[train]
epochs = 2
batch = 128
[criteria]
alpha.last = 30
images = 300
[space.axes]
d = [8, 32, 64]
lambd = [0.005, 0.1]
[rule]
name = "goldilocks"
round = 4
[resources]
parallel = 2
"""


def test_a_killed_driver_is_gone_on_with(tmp_path: Path) -> None:
    process = start_driver(tmp_path)
    try:
        wait_for(tmp_path / "small", '"stage":"probed"', 2)
        assert len(marked(str(tmp_path))) > 5
        process.send_signal(signal.SIGKILL)
        process.wait()
    except BaseException:
        end_group(process)
        raise
    before = Counter(names(tmp_path / "small"))
    launch.resume(tmp_path / "small")
    wait_for_end_of_all(str(tmp_path))
    after = Counter(names(tmp_path / "small"))
    assert max(after.values()) == 1
    assert before <= after
    assert isinstance(events_of(tmp_path / "small")[-1], StudyFinished)


RACE = ("rule.name=race", "rule.prior=none", "probe.at=[0.25,0.5]")


def test_a_race_on_ray_pauses_resumes_and_is_verified(tmp_path: Path) -> None:
    outcome = run(small_study(*RAY, *RACE, "train.epochs=4"), tmp_path)
    events = events_of(tmp_path / "small")
    assert outcome.winner is not None
    assert verify_study(locate(tmp_path / "small")).difference is None
    holds = [e for e in events if isinstance(e, Decided) and e.action == "hold"]
    assert holds
    assert max(Counter(e.trial_id for e in events if isinstance(e, TrialStarted)).values()) > 1
    assert max(Counter(journaled(tmp_path / "small")).values()) == 1


def test_a_race_whose_driver_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    process = start_driver(tmp_path, *RACE, "train.epochs=4")
    try:
        wait_for(tmp_path / "small", '"stage":"probed"', 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    except BaseException:
        end_group(process)
        raise
    before = events_of(tmp_path / "small")
    assert not isinstance(before[-1], StudyFinished)
    launch.resume(tmp_path / "small")
    wait_for_end_of_all(str(tmp_path))
    after = events_of(tmp_path / "small")
    assert after[: len(before)] == before
    assert isinstance(after[-1], StudyFinished)
    assert max(Counter(names(tmp_path / "small")).values()) == 1
    assert max(Counter(journaled(tmp_path / "small")).values()) == 1
    assert verify_study(locate(tmp_path / "small")).difference is None


SLOW = """
import time
from pathlib import Path
from sweep import Measure, Observation

def trial(config, context):
    yield Observation(stage="pretrain", step=1, fraction=0.5)
    (Path(context.folder) / "long").touch()
    time.sleep(60)
    yield Observation(stage="measured", step=2, measures=(Measure(name="alpha", value=1.0),))
"""


def test_sigterm_ends_a_driver_resumable_within_twenty_seconds_amid_a_long_stage(
    tmp_path: Path,
) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    process = start_driver(tmp_path, "trial=slow:trial", "rule.name=none")
    try:
        wait_until(lambda: len(list(tmp_path.glob("small/trials/*/long"))) == 2, 180)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 75, out
        assert f"`sweep resume {tmp_path / 'small'}` goes on" in out
        wait_for_end_of_all(str(tmp_path))
    finally:
        end_group(process)


def test_ctrl_c_ends_a_driver_while_ray_starts(tmp_path: Path) -> None:
    process = start_driver(tmp_path)
    try:
        wait_until(lambda: any("gcs_server" in words for words in marked(str(tmp_path))), 180)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 130, out
        assert "`sweep resume STUDY` continues a study" in out
        wait_for_end_of_all(str(tmp_path))
        assert not (tmp_path / "small").exists()
    finally:
        end_group(process)


def test_a_running_cluster_is_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = ray.get_runtime_context().gcs_address
    process = start_driver(tmp_path, "--address", address, "train.epochs=1", "rule.name=none")
    try:
        out, _ = process.communicate(timeout=180)
    finally:
        end_group(process)
    assert process.returncode == 0, out
    assert "6 stopped" in out


def test_an_address_that_does_not_answer_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"No Ray cluster answers at '127\.0\.0\.1:9'"):
        check_address("127.0.0.1:9")


def test_ray_client_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"through Ray Client .* sweep submit"):
        check_address("ray://127.0.0.1:10001")


def test_more_at_once_than_fits_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "small.toml"
    config.write_text(SMALL_TOML, encoding="utf-8")
    words = ["run", str(config), "--results", str(tmp_path / "r"), "resources.parallel=4096"]
    assert app.run_command(words) == 2
    assert "resources.parallel is 4096, and " in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def names(folder: Path) -> list[tuple[str, str, int]]:
    return [
        (event.trial_id, event.observation.stage, event.observation.step)
        for event in events_of(folder)
        if isinstance(event, Observed)
    ]


def journaled(folder: Path) -> list[tuple[str, str, int]]:
    """Return the stages in the trials' journals: one that ran twice is there twice."""
    return [
        (journal.parent.name, line["stage"], line["step"])
        for journal in folder.glob("trials/*/journal.jsonl")
        for line in map(json.loads, journal.read_text(encoding="utf-8").splitlines())
    ]


def wait_for(folder: Path, text: str, count: int, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        log = folder / EVENTS
        if log.exists() and log.read_text(encoding="utf-8").count(text) >= count:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{text} does not stand {count} times in {folder}")
