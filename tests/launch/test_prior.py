"""A study with a prior: read once, copied into the study's folder, and read from there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import app
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError, StudyError
from sweep.core.events import StudyBegan
from sweep.launch import launch
from sweep.launch.preflight import doubts, prepare
from sweep.log import prior_copy
from sweep.log.study_folder import read_log
from sweep.prediction.prior_file import digest_of, of_bytes, shipped, to_bytes
from sweep.replay.sources import read
from sweep.replay.verify import verify_study
from sweep.storage.location import Location, locate
from tests.faults import Act, faulty
from tests.small import small_study

RACE: dict[str, Any] = {
    "rule": {"name": "race"},
    "probe": {"at": [0.5]},
    "train": {"epochs": 1, "batch": 128, "precision": "float32"},
}
TABLE = "d,lambd,alpha,accuracy\n8,.005,1,.5\n32,.1,1,.6\n64,.005,1,.7\n"


def study(*overrides: str) -> StudyConfig:
    return small_study(*overrides, **RACE)


def run(config: StudyConfig, results: Path | Location) -> Location:
    launch.run(config, results=results, warn=lambda sentence: None)
    return locate(results) / config.name


def began(folder: Location) -> StudyBegan:
    first = read_log(folder)[0]
    assert isinstance(first, StudyBegan)
    return first


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "earlier.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    """A study that learned from a table."""
    results = tmp_path_factory.mktemp("results")
    run(study(f"rule.prior=['{table}']"), results)
    return results / "small"


def copied(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "small")
    return tmp_path / "small"


def test_the_first_event_holds_the_digest_of_the_copy_and_the_names(
    finished: Path, table: Path
) -> None:
    data = (finished / "prior.json").read_bytes()
    first = began(locate(finished))
    assert first.chosen["prior"] == {"digest": digest_of(data), "sources": ["earlier"]}
    assert first.config["rule"]["prior"] == [str(table)]
    (source,) = of_bytes("", data)
    assert source.accuracies.ravel().tolist() == [0.5, 0.6, 0.7]
    assert source.name in {s.name for s in prior_copy.read(locate(finished), first)}


def test_verify_and_resume_read_the_copy_and_not_the_source(
    finished: Path, table: Path, tmp_path: Path
) -> None:
    folder = copied(finished, tmp_path)
    text = table.read_text()
    table.write_text("not a table any more")
    try:
        check = verify_study(locate(folder))
        assert check.difference is None
        assert check.verdicts > 0
        launch.resume(folder, overrides=["budget.probes=50"], warn=lambda sentence: None)
    finally:
        table.write_text(text)
    assert verify_study(locate(folder)).difference is None


def test_a_changed_or_missing_copy_is_a_sentence(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(finished, tmp_path)
    copy = folder / "prior.json"
    copy.write_bytes(copy.read_bytes().replace(b"0.7", b"0.8"))
    changed = r"prior\.json is not the one that the study began with: its digest differs from"
    missing = r"began with a prior, and its copy .*prior\.json cannot be read\. Put it back"
    for sentence in (changed, missing):
        with pytest.raises(StudyError, match=sentence):
            verify_study(locate(folder))
        with pytest.raises(StudyError, match=sentence):
            launch.resume(folder, overrides=["budget.probes=50"], warn=lambda text: None)
        copy.unlink(missing_ok=True)
    assert app.run_command(["replay", "--verify", str(folder)]) == 2
    assert "Put it back from a copy of the folder" in capsys.readouterr().err


def test_a_finished_study_is_a_source(finished: Path) -> None:
    (found,) = read(str(finished))
    assert (found.source.name, found.source.method) == ("small", "barlow_twins")
    assert sorted(found.source.axes) == ["d", "lambd"]
    prepared = prepare(study(f"rule.prior=['{finished}']"))
    assert [source.name for source in prepared.prior.sources] == ["small"]
    assert getattr(prepared.rule, "sources", None) == prepared.prior.sources


def test_by_default_a_study_has_the_shipped_prior_of_its_method() -> None:
    prepared = prepare(study())
    assert [s.name for s in prepared.prior.sources] == [s.name for s in shipped("barlow_twins")]
    assert prepared.config.rule.parameters["prior"] == "shipped"
    assert prepare(study("rule.prior=none")).prior.sources == ()
    byol = study("method={name='byol'}", "space.axes={d=[8,16]}")
    assert prepare(byol).prior.sources == ()
    assert prepare(small_study()).prior.sources == ()


def test_a_study_without_a_prior_writes_no_copy(tmp_path: Path) -> None:
    assert prior_copy.write(locate(tmp_path), ()) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_used_is_a_warning_beside_one_that_can(
    table: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("tau,alpha,accuracy\n1,1,.5\n2,1,.6\n")
    sentence = "rule.prior: other varies tau, and this study varies d, lambd."
    assert sentence in doubts(prepare(study(f"rule.prior=['{table}','{other}']")))
    with pytest.raises(ConfigError, match="no source can be used: other varies tau"):
        prepare(study(f"rule.prior=['{other}']"))
    with pytest.raises(ConfigError, match=r"rule\.prior is 3|rule\.prior\.\S+ is 3"):
        prepare(study("rule.prior=3"))


def test_a_driver_that_dies_between_the_copy_and_the_first_event_may_be_started_again(
    table: Path, tmp_path: Path
) -> None:
    class Killed(BaseException):
        """As a kill would come: nobody catches it."""

    def dying(act: Act) -> Any:
        if (act.name, act.path.name) == ("append", "events.jsonl"):
            assert (tmp_path / "small/prior.json").exists()
            raise Killed
        return act.run()

    config = study(f"rule.prior=['{table}']", "budget.trials=1")
    with pytest.raises(Killed):
        launch.run(config, results=faulty(locate(tmp_path), dying), warn=lambda sentence: None)
    folder = run(config, tmp_path)
    assert verify_study(folder).difference is None


def test_a_study_on_an_object_store_has_its_copy_there(bucket: Location, table: Path) -> None:
    folder = run(study(f"rule.prior=['{table}']", "budget.trials=2"), bucket)
    data = (folder / "prior.json").read()
    assert began(folder).chosen["prior"]["digest"] == digest_of(data)
    assert verify_study(folder).difference is None
    assert [found.source.name for found in read(str(folder))] == ["small"]
    launch.resume(str(folder), overrides=["budget.trials=3"])


# The commands ----------------------------------------------------------------------------


def test_a_dry_run_prints_the_sources_and_how_many_models(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "study.json"
    config.write_text(
        'data.name = "digits"\nencoder.name = "small_conv"\nspace.axes.d = [8, 16]\n'
        'rule.name = "race"\nprobe.at = [0.5]\nresources.runner = "local"\n'
    )
    words = ["run", str(config), "--dry-run"]
    assert app.run_command([*words, f"rule.prior=['{table}']"]) == 0
    assert "\nprior       earlier (3 models)\n" in capsys.readouterr().out
    assert app.run_command([*words, "rule.prior=none"]) == 0
    assert "\nprior       none\n" in capsys.readouterr().out
    assert app.run_command([*words, "rule.name=paper"]) == 0
    assert "\nprior" not in capsys.readouterr().out


def test_sweep_prior_writes_a_file_that_a_study_takes(
    finished: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.json"
    words = ["prior", str(table), "small", "--results", str(finished.parent), "-o", str(out)]
    assert app.run_command(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "earlier: 3 candidates over d, lambd; barlow_twins (assumed, because it names no method "
        "and varies lambda); looks at 1"
    )
    assert lines[1].startswith("small: ")
    assert lines[1].endswith("candidates over d, lambd; barlow_twins; looks at 0.5, 1")
    assert lines[2] == f'Wrote {out}. A study takes it with rule.prior=["{out}"].'
    sources = prepare(study(f"rule.prior=['{out}']")).prior.sources
    assert [source.name for source in sources] == ["earlier", "small"]
    assert app.run_command(["prior", str(out), "-o", str(tmp_path / "again.json")]) == 0
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["earlier.csv", "-o", "x.parquet"], "x.parquet is not a .json file. Name one: -o x.json"),
        (["earlier.csv", "earlier.csv", "-o", "x.json"], "Two sources are named 'earlier'."),
        (["nothing.csv", "-o", "x.json"], "There is no table nothing.csv"),
        (["nothing", "-o", "x.json"], "There is no study 'nothing'"),
        (["wrong.json", "-o", "x.json"], "wrong.json is no prior file"),
        (["earlier.csv", "-o", "no/such/x.json"], "no/such/x.json cannot be written"),
    ],
)
def test_sweep_prior_refuses_with_a_sentence(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("earlier.csv").write_text(TABLE)
    Path("wrong.json").write_text(json.dumps({"format": "other"}))
    assert app.run_command(["prior", *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not Path("x.json").exists()


def test_the_measures_of_a_source_reach_the_copy(finished: Path) -> None:
    (found,) = read(str(finished))
    (source,) = of_bytes("", to_bytes([replace(found.source, name="again")]))
    assert {"alpha", "rankme"} <= source.measures.keys()
