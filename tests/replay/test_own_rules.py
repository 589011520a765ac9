"""A rule of one's own with parameters: live, in a replay, verified, and in `select`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import sweep
from sweep.cli import app
from sweep.core.errors import ConfigError
from sweep.replay.compare import compare
from sweep.replay.landscape_files import write
from sweep.replay.rule_specs import RuleSpec
from sweep.replay.select import Selector
from sweep.rules.paper import Paper
from tests.landscapes import hump

RULE = '''
from __future__ import annotations
from typing import Annotated
from pydantic import Field
from sweep.core.records import Decision, Verdict

def mine(*, margin: Annotated[float, Field(gt=0)] = 1.0, share=0.5, seed: int = 0):
    """Probe models whose alpha lies near 1."""
    def decide(history):
        alphas = history.column("alpha")
        verdicts = [
            Verdict(
                trial_id=history.trial_ids[row],
                action="continue" if abs(alphas[row] - 1.2) <= margin * share else "stop",
                reason=f"margin {margin * share:.3g}",
            )
            for row in history.waiting
        ]
        return Decision(zone=history.zone, verdicts=tuple(verdicts))
    decide.needs = {"alpha"}
    return decide
'''

CONFIG = """
data.name = "digits"
encoder.name = "small_conv"
criteria = { alpha = { last = 30 }, images = 300 }
train = { epochs = 1, batch = 256 }
space.axes.d = [8, 32, 64]
resources.runner = "local"
[rule]
name = "my_rules:mine"
margin = 0.5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a rule in it; nothing of it is left behind."""
    (tmp_path / "my_rules.py").write_text(RULE, encoding="utf-8")
    (tmp_path / "study.toml").write_text(CONFIG, encoding="utf-8")
    write(hump(20), tmp_path / "hump.parquet", about={})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("sweep.core.plugins._FOLDERS", [])
    monkeypatch.delitem(sys.modules, "my_rules", raising=False)
    return tmp_path


def test_it_decides_a_study_and_its_verdicts_are_reproduced(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = sweep.run(folder / "study.toml", results=folder / "results")
    loaded = sweep.load(folder / "results" / "study")
    near = [abs(row["alpha"] - 1.2) <= 0.25 for row in loaded.trials.to_pylist()]
    assert outcome.probes_paid == sum(near)
    assert loaded.config.rule.parameters == {"margin": 0.5, "share": 0.5}

    monkeypatch.delitem(sys.modules, "my_rules")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(folder)])
    monkeypatch.setattr("sweep.core.plugins._FOLDERS", [])
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # the study's log tells where the rule lies
    words = ["replay", "--verify", str(folder / "results" / "study")]
    assert app.run_command(words) == 0
    assert "3 verdicts reproduced" in capsys.readouterr().out


def test_it_is_replayed_with_its_keys(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    narrow, wide = "my_rules:mine:margin=0.1", "my_rules:mine:margin=2+share=1.0"
    words = ["replay", "hump.parquet", "--rules", f"all,{narrow},{wide}", "--orders", "2"]
    assert app.run_command([*words, "--draws", "2", "--json"]) == 0
    probes = {row["rule"]: row["probes"] for row in json.loads(capsys.readouterr().out)}
    assert probes.keys() == {"all", narrow, wide.replace("+", ",")}
    assert 0 <= probes[narrow] < probes[wide.replace("+", ",")] <= probes["all"]


def test_a_replay_gives_it_the_order_as_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SEEDS", set())
    compare(hump(8), [f"{__name__}:seeded"], orders=3, draws=0, jobs=1)
    assert {0, 1, 2} <= SEEDS


SEEDS: set[int] = set()


def seeded(*, seed: int) -> Paper:
    """Return the rule of the authors, and note the seed."""
    SEEDS.add(seed)
    return Paper(round=4)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("my_rules:mine:margin=0", r"rule.margin is 0: input should be greater than 0"),
        ("my_rules:mine:margn=1", r"rule.margn is no key of my_rules:mine. Did you mean 'margin'?"),
        ("my_rules:yours", r"my_rules has no 'yours'"),
        ("my_rules", r"The rule 'my_rules' is not known."),
        ("no_rules:mine:margin=1", r"No module named 'no_rules'"),
    ],
)
@pytest.mark.parametrize("command", ["replay", "select"])
def test_one_that_cannot_be_is_a_sentence(
    command: str, rule: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = "--rules" if command == "replay" else "--rule"
    assert app.run_command([command, "hump.parquet", option, rule]) == 2
    assert sentence in capsys.readouterr().err


def test_it_selects_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "models.csv").write_text(
        "trial_id,alpha,accuracy\na,0.5,\nb,1.2,\nc,1.3,\nd,2.0,0.4\n", encoding="utf-8"
    )
    words = ["select", "models.csv", "--rule", "my_rules:mine:margin=0.3+share=1.0", "--json"]
    assert app.run_command(words) == 0
    assert {row["id"] for row in json.loads(capsys.readouterr().out)} == {"b", "c"}
    selector = Selector({"a": 0.5, "b": 1.2, "c": 1.9}, rule="my_rules:mine:margin=0.1")
    assert [suggestion.id for suggestion in selector.ask(3)] == ["b"]
    assert selector.ask(3) == []


def test_a_rule_of_the_package_adds_no_folder_to_the_import_path(folder: Path) -> None:
    assert app.run_command(["replay", "hump.parquet", "--rules", "all", "--orders", "1"]) == 0
    assert app.run_command(["select", "hump.parquet", "--rule", "paper:round=4"]) == 0
    assert str(folder) not in sys.path
    assert "my_rules" not in sys.modules


def test_values_are_read_as_in_a_config() -> None:
    spec = RuleSpec.parse("goldilocks:round=4,eager=true,features=everything,risk=1e-1")
    assert spec.rule.parameters == {
        "round": 4, "eager": True, "features": "everything", "risk": 0.1,
    }  # fmt: skip
    with pytest.raises(
        ConfigError, match=r"rule\.eager is 'perhaps': input should be a valid bool"
    ):
        RuleSpec.parse("goldilocks:eager=perhaps")
