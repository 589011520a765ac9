"""A config runs no code except the plug-ins that it names, even with other code in its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.cli import app
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.core.plugins import importable, resolve
from sweep.rules import RULES
from tests.cli.test_app import TINY
from tests.safety.attacks import attack_ran, attacking_module

SHADOWS = ("json", "torch", "sweep", "numpy", "duckdb", "sitecustomize", "typing_extensions")
"""Installed modules; a folder that came first on the path would replace them."""
OPTIONAL = ("colorama", "lz4", "onnx", "psutil", "tabulate", "tensorflow", "tree", "xarray")
"""Modules that libraries import if they exist; a folder anywhere on the path could supply them."""


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder with a harmless config, and modules that attack when they are imported."""
    folder = tmp_path / "downloaded"
    for name in (*SHADOWS, *OPTIONAL):
        attacking_module(folder / f"{name}.py", tmp_path)
    attacking_module(folder / "entry.py", tmp_path)
    entries = folder / "entry-1.0.dist-info"
    entries.mkdir()
    (entries / "METADATA").write_text("Metadata-Version: 2.1\nName: entry\nVersion: 1.0\n")
    groups = ("pydantic", "torch.backends", "optuna", "pytest11")
    (entries / "entry_points.txt").write_text("".join(f"[{g}]\nx = entry:x\n" for g in groups))
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    return folder


def python(code: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as the installed command does: the current folder is not on its path."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )


def test_a_config_without_plug_ins_runs_no_code_of_its_folder(
    trapped: Path, tmp_path: Path
) -> None:
    code = "from sweep.cli.app import main; main()"
    done = python(code, "run", "tiny.toml", "space.axes={d=[8]}", folder=trapped)
    assert done.returncode == 0, done.stderr
    assert "winner" in done.stdout
    assert not attack_ran(tmp_path)


def test_rays_workers_do_not_import_from_the_current_folder(trapped: Path, tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from sweep.runners.ray.cluster import cluster
here = Path.cwd()
with cluster(None):
    import ray
    assert Path.cwd() == here
    @ray.remote
    def path():
        try:
            import tabulate
        except ImportError:
            pass
        return sys.path
    print(json.dumps(ray.get(path.remote())))
"""
    done = python(code, folder=trapped)
    assert done.returncode == 0, done.stderr
    assert str(trapped) not in done.stdout
    assert "site-packages" in done.stdout
    assert not attack_ran(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        "data = \"__import__('os').mkdir('acted')\"",
        'name = "${os.mkdir}"',
        'name = "{{ 1 }}"',
        'options = { "__class__" = "os.mkdir", "_target_" = "os.mkdir", "!!python" = 1 }',
        '[data]\npath = "`mkdir acted`"',
        '[data]\npath = "$(mkdir acted)"',
        '[space.axes]\n"method.x" = ["__import__"]',
        '[method]\n"__class__" = "os.mkdir"',
        '[space.axes]\n"train.__class__" = [1]',
        '[space.axes]\n"options.__class__.x" = [1, 2]',
    ],
)
def test_no_text_of_a_config_is_evaluated(
    lines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(lines, encoding="utf-8")
    code = app.run_command(["run", "c.toml", "data.name=none", "--runner", "local"])
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not attack_ran(tmp_path)


@pytest.mark.parametrize("value", ["__import__('os')", "!!python/object:os.system", "os.mkdir"])
def test_an_override_is_toml_or_plain_text(value: str) -> None:
    assert StudyConfig.parse({}, [f"options.x={value}"]).options == {"x": value}


def test_a_plug_ins_folder_does_not_hide_installed_modules(trapped: Path) -> None:
    code = """
import sys
from sweep.core.plugins import importable, resolve
importable(".")
loads = resolve("The rule", "json:loads", {})
assert loads("[1]") == [1]
import tabulate  # the folder of a plug-in is last on the path
"""
    done = python(code, folder=trapped)
    assert done.returncode == 0, done.stderr


def test_the_folder_is_on_the_path_only_after_a_plug_in_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    attacking_module(tmp_path / "my_own_rule.py", tmp_path, more="def rule(config): return config")
    importable(tmp_path)
    resolve("The rule", "paper", RULES)
    assert str(tmp_path) not in sys.path
    resolve("The rule", "my_own_rule:rule", RULES)
    assert sys.path[-1] == str(tmp_path)
    assert attack_ran(tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (":x", "is not known"),
        ("a..b:x", "is not known"),
        (".a:x", "is not known"),
        ("a\0b:x", "No module named"),
        ("math:pi", "is a float, and cannot be called"),
        ("math:", "math has no ''"),
        ("math:pi.real", "math has no 'pi.real'"),
        ("broken_module:x", r"cannot be imported: RuntimeError: no \(broken_module.py, line 1\)"),
        ("broken_syntax:x", r"cannot be imported: SyntaxError: "),
    ],
)
def test_a_name_without_a_function_is_refused_with_a_sentence(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('no')")
    (tmp_path / "broken_syntax.py").write_text("def")
    with pytest.raises(ConfigError, match=why):
        resolve("The rule", name, RULES)


@pytest.mark.parametrize("field", ["rule.name", "space.proposer", "encoder.name", "data.name"])
def test_a_function_that_is_no_plug_in_is_refused_before_anything_is_written(
    field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    words = ["run", tmp_path / "tiny.toml", f"{field}=os:mkdir", "--results", tmp_path / "results"]
    assert app.run_command([str(word) for word in words]) == 2
    err = capsys.readouterr().err
    assert "'os:mkdir' has the parameter 'path', which is not keyword-only" in err
    assert "Traceback" not in err
    assert not (tmp_path / "results").exists()


def test_a_replay_imports_the_rules_that_the_command_names_and_no_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("alpha,accuracy\n1,0.5\n2,0.6\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert app.run_command(["replay", str(path), "--rules", "all", "--orders", "1"]) == 0
    assert str(tmp_path) not in sys.path
    (tmp_path / "named_by_replay.py").write_text("mine = 'text'\n", encoding="utf-8")
    for rule in ("named_by_replay:mine", "all:proposer=named_by_replay:mine"):
        assert app.run_command(["replay", str(path), "--rules", rule]) == 2
        assert "'named_by_replay:mine' is a str, and cannot be called" in capsys.readouterr().err
    assert sys.path[-1] == str(tmp_path)
