"""The doctor: what it finds on a machine that is well, on one that is not, and in a study."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweep.bench.scale import _config
from sweep.cli import app
from sweep.core.errors import StudyError
from sweep.doctor import machine, storage, study
from sweep.doctor.finding import Finding, looked
from sweep.launch import launch
from sweep.log.study_folder import EVENTS, open_log
from sweep.storage.location import Location, locate
from tests.faults import Act, faulty
from tests.object_store import Road
from tests.small import small_study

ROOT = Path(__file__).parent.parent.parent
ON_A_CLUSTER = "resources.address=10.0.0.1:6379"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that ended, with weights."""
    results = tmp_path_factory.mktemp("results")
    launch.run(small_study("train.epochs=1"), results=results, warn=lambda sentence: None)
    return results / "small"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    import shutil

    return Path(shutil.copytree(finished, tmp_path / "small"))


def of(check: str, found: list[Finding]) -> Finding:
    """Return the one finding of that name."""
    (one,) = [one for one in found if one.check == check]
    return one


def health(folder: Location) -> dict[str, Finding]:
    return {one.check: one for one in study.findings(folder)}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_processes_of_a_trial_that_this_machine_cannot_run_are_told() -> None:
    assert list(machine.processes(small_study())) == []
    assert list(machine.processes(small_study("resources.processes=2", ON_A_CLUSTER))) == []
    one = small_study("resources.processes=100_000", "resources.gpu=0")
    wrong = of("processes", list(machine.processes(one)))
    assert wrong.state == "wrong"
    assert "Each trial has 100000 processes, which need 100000 cores" in wrong.seen


# The command ---------------------------------------------------------------------------


def test_a_machine_and_a_study_that_are_well_are_said_so_and_left_alone(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(finished.parent)
    words = ["doctor", "small", "--results", str(finished.parent), "--json"]
    code = app.run_command(words)
    found = [Finding(**one) for one in json.loads(capsys.readouterr().out)]
    assert (code, [one for one in found if one.state == "wrong"]) == (0, [])
    checks = {one.check for one in found}
    assert checks >= {"cpu", "python", "torch", "ray", "duckdb", "storage", "locks", "space"}
    assert checks >= {"data", "log", "driver", "tables", "trials", "weights"}
    assert "not needed" in [one for one in found if one.check == "ray"][-1].seen
    assert of("driver", found).seen == "none: the study is over"
    assert tree(finished.parent) == before


def test_a_results_folder_that_is_not_there_is_not_made_and_a_wrong_thing_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.toml"
    path = tmp_path / "no" / "images"
    config.write_text(f'data.path = "{path}"\nresources.runner = "local"\n', encoding="utf-8")
    results = tmp_path / "a" / "b"
    assert app.run_command(["doctor", str(config), "--results", str(results)]) == 1
    said = capsys.readouterr().out
    assert str(path) in next(line for line in said.splitlines() if line.startswith("wrong"))
    assert "-> Put the images there, or name another place with data.path=PATH." in said
    assert "not made yet" in said
    assert list(tmp_path.iterdir()) == [config]


def test_a_study_that_there_is_not_is_the_users_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run_command(["doctor", "none", "--results", str(tmp_path)]) == 2
    assert "There is no study 'none'" in capsys.readouterr().err
    assert app.run_command(["doctor", "one", "two", "--results", str(tmp_path)]) == 2
    assert "one STUDY and one CONFIG.toml at most" in capsys.readouterr().err


def test_without_ray_optuna_and_duckdb_it_says_so_and_goes_on(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('ray', 'optuna', 'duckdb'): sys.modules[name] = None\n"
        "from sweep.cli import app\n"
        f"sys.exit(app.run_command(['doctor', '--results', {str(tmp_path)!r}, '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1, done.stderr
    found = [Finding(**one) for one in json.loads(done.stdout)]
    wrong = {one.check for one in found if one.state == "wrong"}
    assert wrong == {"ray", "optuna", "duckdb"}
    assert "cannot be imported" in of("duckdb", found).seen
    assert of("optuna", found).cure.startswith("pip install --force-reinstall 'optuna")
    assert of("storage", found).state == "ok"


def test_a_look_that_fails_is_a_finding_and_the_others_go_on() -> None:
    def breaking() -> Any:
        yield Finding(check="first", state="ok", seen="there")
        raise RuntimeError("no such\nthing")

    found = list(looked("second", breaking))
    assert [one.check for one in found] == ["first", "second"]
    assert found[1].seen == "the check ended with RuntimeError: no such"

    def refusing() -> Any:
        raise StudyError("A sentence.")

    assert [one.seen for one in looked("x", refusing)] == ["A sentence."]


def test_a_version_out_of_range_and_a_library_that_is_missing_are_told() -> None:
    from packaging.requirements import Requirement

    old = machine._library(Requirement("numpy<1"))
    assert (old.state, old.cure) == ("warning", "pip install 'numpy<1'")
    gone = machine._library(Requirement("no-such-library>=2"))
    assert (gone.state, gone.seen) == ("wrong", "not installed")


# Storage -------------------------------------------------------------------------------


def test_a_file_in_the_place_of_a_folder_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    (one,) = storage.findings(locate(tmp_path / "results"))
    assert one.state == "wrong"
    assert "is a file" in one.seen
    (one,) = storage.findings(locate(tmp_path / "results" / "deeper"))
    assert one.state == "wrong"


def test_a_folder_that_refuses_is_wrong_and_nothing_is_left(tmp_path: Path) -> None:
    def refuse(act: Act) -> Any:
        if act.name == "append":
            raise OSError(30, "Read-only file system")
        return act.run()

    found = list(storage.findings(faulty(locate(tmp_path), refuse)))
    assert of("storage", found).seen.endswith("cannot be written: Read-only file system")
    assert list(tmp_path.iterdir()) == []


def test_an_object_store_is_tried_and_one_without_conditions_protects_nobody(
    bucket: Location, road: Road
) -> None:
    place = locate(str(bucket))
    found = list(storage.findings(place))
    assert [(one.check, one.state) for one in found] == [("storage", "ok"), ("locks", "ok")]
    road.bare = True
    found = list(storage.findings(place))
    assert of("locks", found).state == "warning"
    assert "nothing protects you from two drivers" in of("locks", found).seen
    assert place.names() == []
    road.refuse = lambda method, path: True
    (one,) = storage.findings(place)
    assert (one.check, one.state) == ("storage", "wrong")
    assert "AWS_ENDPOINT_URL" in one.seen


def test_a_study_on_an_object_store_is_looked_at(bucket: Location) -> None:
    launch.run(
        _config(8, {"name": "paper"}, {"runner": "local"}, seconds=0.0),
        results=str(bucket),
        warn=lambda sentence: None,
    )
    found = health(bucket / "scale")
    assert [one for one in found.values() if one.state != "ok"] == []
    (bucket / "scale" / EVENTS / "0000000003.json").remove()
    assert found["log"].seen == f"{int(found['log'].seen.split()[0])} events, all readable"
    assert "event 3" in health(bucket / "scale")["log"].seen


# A study's health ----------------------------------------------------------------------


def append(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes() + data)


def overwrite(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], b"{}\n", *lines[6:]]))


@pytest.mark.parametrize(
    ("name", "damage", "check", "state", "seen"),
    [
        (EVENTS, append(b'{"seq'), "log", "warning", "and 5 bytes of an unfinished one"),
        (EVENTS, overwrite, "log", "wrong", "is damaged at line 6"),
        (EVENTS, lambda path: path.write_bytes(b""), "log", "wrong", "it holds no study"),
        ("tables/trials.parquet", Path.unlink, "tables", "warning", "not of this log: trials;"),
        ("tables/.x.1.tmp", Path.touch, "leftovers", "warning", "1 unfinished files"),
    ],
)
def test_what_is_damaged_in_a_study_is_told_and_what_to_type(
    copied: Path, name: str, damage: Callable[[Path], object], check: str, state: str, seen: str
) -> None:
    damage(copied / name)
    before = tree(copied)
    one = health(locate(copied))[check]
    assert one.state == state
    assert seen in one.seen
    assert one.cure
    assert tree(copied) == before


def test_weights_that_are_gone_are_told_and_the_winners_are_wrong(copied: Path) -> None:
    assert health(locate(copied))["weights"].seen.endswith("0 of them missing")
    from sweep.tables.results import Results

    rows = Results(copied).trials.to_pylist()
    winner = next(row["trial_id"] for row in rows if row["winner"])
    other = next(row["trial_id"] for row in rows if row["checkpoint"] and not row["winner"])
    (copied / "trials" / other / "encoder.safetensors").unlink()
    assert health(locate(copied))["weights"].state == "warning"
    (copied / "trials" / winner / "encoder.safetensors").unlink()
    assert health(locate(copied))["weights"].state == "wrong"
    assert winner in health(locate(copied))["weights"].seen


def test_a_driver_at_work_and_one_that_is_gone_are_told_apart(copied: Path) -> None:
    with open_log(locate(copied)):
        one = health(locate(copied))["driver"]
        assert "drives it; its heartbeat is 0 s old" in one.seen
        note = (copied / "driver.json").read_bytes()
    (copied / "driver.json").write_bytes(note)
    lines = (copied / EVENTS).read_bytes().splitlines(keepends=True)
    (copied / EVENTS).write_bytes(b"".join(lines[:-1]))
    one = health(locate(copied))["driver"]
    assert (one.state, one.cure) == ("warning", f"`sweep resume {copied}` goes on.")
    assert "is gone" in one.seen
