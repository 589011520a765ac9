"""The number of examples of the fuzz tests, and the folder in which they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sweep.cli import read

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Divide the examples of a file among its tests."""
    fuzz_tests = [item for item in items if item.path.parent == HERE and hasattr(item, "obj")]
    tests = Counter(item.path for item in fuzz_tests)
    for item in fuzz_tests:
        share = -(-config.getoption("--examples") // tests[item.path])
        settings(max_examples=share)(item.obj)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for workspaces."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True, scope="module")
def patient() -> Iterator[None]:
    """Give a query more time: if it does not stop at its limit, it ends the test process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "PATIENCE_SECONDS", 600.0)
        yield
