"""A study of the user's own training code is told as such: no default of the built-in model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import sweep
from sweep.cli.app import run_command

CODE = """
from sweep import Measure, Observation

def trial(config, context):
    alpha = Measure(name="alpha", value=1.0 + config.options["x"])
    yield Observation(stage="measured", step=1, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.5 + config.options["x"] / 10)
    yield Observation(stage="probed", step=1, measures=(accuracy,))
"""
CONFIG = """
trial = "mine_of_this_test:trial"
rule.name = "all"
resources.runner = "local"
[space]
draw = "random"
count = 20
[space.axes]
"options.x" = [0, 1, 2]
"""


def test_nothing_of_the_built_in_model_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine_of_this_test.py").write_text(CODE)
    (tmp_path / "own.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("sweep.core.plugins._FOLDERS", [])
    assert run_command(["run", "own.toml"]) == 0
    printed = capsys.readouterr()
    assert "space.count is 20, but the draws gave 3 different candidates" in printed.err
    assert "Query" in printed.out
    assert "Export" not in printed.out
    trials = sweep.load(tmp_path / "results" / "own").trials
    for name in ("method", "encoder", "dataset", "epochs"):
        assert trials[name].null_count == 3, name
    assert "lambd" not in trials.column_names
    assert sorted(trials["options_x"].to_pylist()) == [0, 1, 2]
    monkeypatch.delitem(sys.modules, "mine_of_this_test")
