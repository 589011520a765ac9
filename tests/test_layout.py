"""The house's order: who may import whom, and where heavy dependencies live."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sweep"
FILES = sorted(PACKAGE.rglob("*.py"))
SEAMS = ("objectives", "encoders", "datasets", "criteria", "probes", "rules", "proposers")
TOP = {
    "bench", "cli", "contenders", "doctor", "estimate", "export", "keep", "launch", "local", "plot",
    "preflight", "progress", "ray_tune", "repeats", "replay", "select", "summary", "verify",
    "worker",
}  # fmt: skip
MIDDLE = {"study", "trial"}
HOMES = {
    "ray": ("ray_tune/", "bench/overhead.py", "bench/victims.py"),
    "duckdb": ("query.py", "bench/query.py"),
    "optuna": ("proposers/",),
    "matplotlib": ("plot.py",),
    "typer": ("cli.py",),
    "s3fs": ("object_store.py",),
    "fsspec": ("object_store.py",),
    "botocore": ("object_store.py",),
    "aiohttp": ("object_store.py",),
    "upath": ("object_store.py", "files.py"),
    "rich": ("cli.py", "progress.py", "text.py"),
}


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports, those in functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    """Return the folder or file of the package in which a file lies."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_downwards_only(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("sweep.")}
    if room == "__init__":
        return
    if room not in TOP:
        assert not rooms & TOP
    if room not in TOP | MIDDLE:
        assert not rooms & MIDDLE
    if room in SEAMS:
        assert not rooms & set(SEAMS) - {room}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_heavy_dependency_lives_in_its_own_place(path: Path) -> None:
    where = str(path.relative_to(PACKAGE))
    for name in {name.split(".")[0] for name in imports_of(path)} & set(HOMES):
        assert where.startswith(HOMES[name]), f"{where} imports {name}"
