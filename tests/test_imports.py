"""What is imported, and when: the package is light, and a local study needs few libraries."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sweep

PACKAGE = Path(sweep.__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}

HEAVY = ("ray", "ray.tune", "duckdb", "torch", "optuna", "scipy", "vl_convert")

STUDY = """
[data]
name = "digits"
[encoder]
name = "small_conv"
[augment]
flip = 0.0
[train]
epochs = 1
batch = 256
[criteria]
alpha.last = 30
images = 500
[space.axes]
d = [8, 32]
lambd = [0.005, 0.1]
[rule]
name = "goldilocks"
round = 4
"""

WITHOUT = """
import sys

BLOCKED = ("ray", "optuna", "duckdb")


class Blocker:
    \"\"\"Makes a library look as if it was not installed.\"\"\"

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
from sweep.cli.app import run_command

code = run_command(sys.argv[1:])
assert not [name for name in BLOCKED if name in sys.modules]
sys.exit(code)
"""


def imported_by(code: str) -> set[str]:
    """Run code in a fresh process and return the heavy libraries that it imported."""
    listing = f"{code}; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", listing],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return set(ast.literal_eval(done.stdout))


def test_importing_the_package_imports_no_heavy_library() -> None:
    assert imported_by("import sweep") == set()


def test_importing_the_command_line_imports_no_heavy_library() -> None:
    assert imported_by("import sweep.cli.app") == set()


def test_the_bench_of_alpha_does_not_import_ray() -> None:
    assert imported_by("from sweep.bench import load; load('alpha')") == {"torch", "scipy"}


def test_the_actor_of_trials_imports_neither_ray_tune_nor_torch() -> None:
    assert imported_by("import sweep.runners.ray.actor") == {"ray"}


@pytest.mark.parametrize("name", sweep.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(sweep, name).__module__.startswith("sweep.")
    assert name in dir(sweep)


def test_a_name_that_the_package_lacks_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'sweep' has no attribute 'beta'"):
        sweep.beta  # noqa: B018


def test_only_the_plug_ins_are_imported_by_string() -> None:
    by_string = re.compile("import_module|__import__")
    files = [path for path in PACKAGE.rglob("*.py") if by_string.search(path.read_text("utf-8"))]
    assert [path.relative_to(PACKAGE).as_posix() for path in files] == ["core/plugins.py"]


def without_libraries(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `sweep` in a folder, on a machine without ray, optuna and duckdb."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        cwd=folder,
    )


def test_a_local_study_runs_to_its_winner_without_ray_optuna_and_duckdb(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(STUDY, encoding="utf-8")
    for words, line in (
        (["run", "small.toml", "--runner", "local", "--dry-run"], "4 candidates, 1 at once"),
        (["run", "small.toml", "--runner", "local"], "winner  "),
        (["resume", "small"], "winner  "),
        (["show", "small"], "probed"),
        (["best", "small"], "accuracy"),
        (["export", "small", "-o", "encoder.safetensors"], "Wrote encoder.safetensors"),
    ):
        done = without_libraries(tmp_path, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert line in done.stdout


@pytest.mark.parametrize(("words", "library"), [(["run", "small.toml"], "ray"), (["ls"], "duckdb")])
def test_a_command_that_lacks_a_library_names_it_and_writes_nothing(
    tmp_path: Path, words: list[str], library: str
) -> None:
    (tmp_path / "small.toml").write_text(STUDY, encoding="utf-8")
    done = without_libraries(tmp_path, *words)
    assert done.returncode == 2
    assert f"This command needs {library}, which is not installed." in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]
