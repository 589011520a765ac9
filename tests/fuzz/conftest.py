"""How much is fuzzed, and where the examples are tried, one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sweep.cli import app

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Share the examples of a file among its tests."""
    fuzzes = [item for item in items if item.path.parent == HERE and hasattr(item, "obj")]
    tests = Counter(item.path for item in fuzzes)
    for item in fuzzes:
        share = -(-config.getoption("--examples") // tests[item.path])
        settings(max_examples=share)(item.obj)


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for workshops."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True, scope="module")
def patient() -> Iterator[None]:
    """A query that does not end when it is told to would end this process: it gets more time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "PATIENCE_SECONDS", 600.0)
        yield
