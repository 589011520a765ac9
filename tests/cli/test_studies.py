"""compare, dump, rm and schema, over a real study that ran in process."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

from sweep.cli.app import run_command
from sweep.launch import launch
from sweep.replay.landscape_files import load
from sweep.replay.select import Selector
from sweep.storage.lease import take
from sweep.storage.location import locate
from sweep.tables.schemas import SCHEMAS
from tests.small import small_study

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of two models each, which differ in the epochs."""
    folder = tmp_path_factory.mktemp("results")
    space = {"axes": {"d": [8, 16]}}
    for name, epochs in (("one", 1), ("two", 2)):
        study = small_study(
            f"train.epochs={epochs}", f"name={name}", space=space, rule={"name": "all"}
        )
        launch.run(study, results=folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command over a copy of the studies; returns its exit code and what it printed."""
    results = tmp_path / "results"
    shutil.copytree(made, results)

    def command(*words: str) -> tuple[int, str]:
        code = run_command([*words, "--results", str(results)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return command


def test_compare_shows_winners_costs_and_the_keys_that_differ(run: Run) -> None:
    code, shown = run("compare", "one", "two")
    assert code == 0
    assert "train.epochs" in shown
    assert "accuracy of two minus one: " in shown
    assert "different images" not in shown
    code, shown = run("compare", "one", "two", "--json")
    found = json.loads(shown)
    assert found["differing"] == {"train.epochs": [1, 2]}
    values = found["rows"]["value"]
    (difference,) = found["differences"]
    assert difference["difference"] == pytest.approx(values[1] - values[0])
    assert difference["lo"] < difference["difference"] < difference["hi"]
    assert found["rows"]["probes"] == [2, 2]


def test_compare_needs_two_studies(run: Run) -> None:
    assert run("compare", "one") == (2, "Error: `sweep compare` needs two studies or more: "
                                        "sweep compare A B\n")  # fmt: skip


def test_dump_writes_every_table(run: Run, tmp_path: Path) -> None:
    code, shown = run("dump", "one", "-o", str(tmp_path / "tables"))
    assert code == 0, shown
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == set(SCHEMAS)
    assert pq.read_table(tmp_path / "tables" / "trials.parquet").num_rows == 2
    code, shown = run("dump", "one", "-o", str(tmp_path / "csv"), "--csv")
    assert code == 0, shown
    with (tmp_path / "csv" / "spectra.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(json.loads(rows[0]["eigenvalues"])) > 1
    code, shown = run("dump", "one", "-o", str(tmp_path / "csv"))
    assert code == 2
    assert "is not an empty folder" in shown


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_dumped_table_of_trials_tells_a_rule_nothing_that_comes_from_labels(
    kind: str, made: Path, run: Run, tmp_path: Path
) -> None:
    run("dump", "one", "-o", str(tmp_path / "dumped"), *(["--csv"] if kind == "csv" else []))
    dumped, study = load(tmp_path / "dumped" / f"trials.{kind}"), load(made / "one")
    assert dumped.method == study.method == "barlow_twins"
    for one, other in zip(dumped.candidates, study.candidates, strict=True):
        assert (one.trial_id, one.point, one.names) == (other.trial_id, other.point, other.names)
        assert one.accuracy == pytest.approx(other.accuracy)
        assert one.pretrain_seconds == pytest.approx(other.pretrain_seconds)
        known = {measure.name for seen in one.seen for measure in seen.measures}
        assert known - {"test_accuracy"} == {m.name for seen in other.seen for m in seen.measures}
    select = Selector.of(dumped).history
    assert {*select.varied, *select.named} == {"d", "invariance", "redundancy"}


def test_rm_removes_a_study_or_its_weights(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "one"
    code, shown = run("rm", "one")
    assert (code, folder.exists()) == (2, True)
    assert "sweep rm one --yes" in shown
    code, shown = run("rm", "one", "--yes", "--keep-tables")
    assert code == 0, shown
    assert not (folder / "trials").exists()
    assert run("show", "one")[0] == 0
    code, shown = run("rm", "one", "--yes")
    assert code == 0, shown
    assert not folder.exists()
    assert (tmp_path / "results" / "two").exists()


def test_rm_refuses_a_study_that_runs_and_what_is_no_study(run: Run, tmp_path: Path) -> None:
    lease = take(locate(tmp_path / "results" / "one"))
    try:
        code, shown = run("rm", "one", "--yes")
        assert code == 2
        assert "`sweep stop one` stops it" in shown
    finally:
        lease.release()
    (tmp_path / "results" / "photos").mkdir()
    assert run("rm", str(tmp_path / "results" / "photos"), "--yes")[0] == 2
    assert (tmp_path / "results" / "photos").exists()
    assert run("rm", "three", "--yes")[0] == 2


def test_rm_leaves_what_a_link_points_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "results" / "link").symlink_to(tmp_path / "results" / "one")
    assert run("rm", "link", "--yes")[0] == 2
    assert (tmp_path / "results" / "one" / "events.jsonl").exists()


def test_a_schema_accepts_what_a_study_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.validate({"name": "x", "train": {"epochs": 3}, "rule": {"name": "race"}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "train": {"epochs": "many"}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "trian": {}}, schema)
