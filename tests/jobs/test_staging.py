"""What a job is given: the config, the modules that it names, and priors as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.jobs import staging
from sweep.jobs.staging import check_places, stage
from sweep.prediction.prior_file import of_bytes

CONFIG = """
name = "mine"
trial = "my_package.code:trial"
[space.axes]
d = [16, 32]
"method.name" = ["byol", "my_method:make"]
[train]
epochs = 3
[rule]
name = "race"
prior = ["{prior}", "shipped", "s3://lab/earlier"]
"""
TABLE = "d,lambd,alpha,accuracy\n16,0.1,1.0,0.5\n32,0.1,1.5,0.6\n64,0.1,1.4,0.7\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with a config, the modules that it names, and one that it does not name."""
    folder = tmp_path / "code"
    (folder / "my_package" / "__pycache__").mkdir(parents=True)
    (folder / "my_package" / "__init__.py").touch()
    (folder / "my_package" / "code.py").write_text("import helper\ndef trial(c, x): ...\n")
    (folder / "my_package" / "__pycache__" / "code.pyc").write_bytes(b"x")
    (folder / "my_method.py").write_text("from json import loads\n")
    (folder / "helper.py").write_text("import os\n")
    (folder / "other.py").write_text("")
    (tmp_path / "table.csv").write_text(TABLE)
    (folder / "mine.toml").write_text(CONFIG.format(prior=tmp_path / "table.csv"))
    return folder


def staged(config: Path, into: Path, *overrides: str) -> str:
    into.mkdir()
    return stage(StudyConfig.load(config, overrides), config.parent, into)


def test_the_config_the_modules_that_it_names_and_its_priors_are_staged(
    code: Path, tmp_path: Path
) -> None:
    staged(code / "mine.toml", tmp_path / "job", "train.epochs=5", "name=ours")
    files = {str(f.relative_to(tmp_path / "job")) for f in (tmp_path / "job").rglob("*.*")}
    assert files == {
        "study.toml", "prior-0-table.json", "helper.py", "my_method.py",
        "my_package/__init__.py", "my_package/code.py",
    }  # fmt: skip
    config = StudyConfig.load(tmp_path / "job" / "study.toml")
    assert (config.name, config.train.epochs) == ("ours", 5)
    prior = ["prior-0-table.json", "shipped", "s3://lab/earlier"]
    assert config.rule.parameters["prior"] == prior
    before = StudyConfig.load(code / "mine.toml", ["train.epochs=5", "name=ours"])
    rule = before.rule.with_parameters({**before.rule.parameters, "prior": prior})
    assert config == before.model_copy(update={"rule": rule})
    (source,) = of_bytes("prior", (tmp_path / "job" / "prior-0-table.json").read_bytes())
    assert source.accuracies[:, -1].tolist() == [0.5, 0.6, 0.7]


def test_the_digest_is_of_what_is_staged(code: Path, tmp_path: Path) -> None:
    first = staged(code / "mine.toml", tmp_path / "one")
    (code / "other.py").write_text("print()\n")
    assert staged(code / "mine.toml", tmp_path / "two") == first
    (code / "helper.py").write_text("print()\n")
    assert staged(code / "mine.toml", tmp_path / "three") != first
    assert staged(code / "mine.toml", tmp_path / "four", "seed=3") != first


def test_modules_that_are_too_large_are_refused(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MOST_BYTES", 1_000)
    (code / "my_package" / "weights.bin").write_bytes(b"x" * 1_001)
    with pytest.raises(ConfigError, match=r"larger than .*weights\.bin\. Install the package"):
        staged(code / "mine.toml", tmp_path / "job")


@pytest.mark.parametrize(
    ("results", "overrides", "says"),
    [
        ("results", [], r"--results is 'results', a folder of this machine"),
        ("/shared", ["data.path=photos"], r"data\.path is 'photos', a path of this machine"),
        ("/shared", ["probe.data={path='x'}"], r"probe\.data\.path is 'x', a path of this machine"),
    ],
)
def test_places_of_this_machine_are_refused(
    results: str, overrides: list[str], says: str, code: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        check_places(code / "mine.toml", overrides, results)


def test_places_that_all_nodes_may_have_pass(code: Path) -> None:
    check_places(code / "mine.toml", ["data.path=/data"], "s3://lab/sweeps")
    check_places(None, [], "/shared")
