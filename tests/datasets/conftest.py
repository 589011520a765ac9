"""A fixture that is each member of `DATASETS` in turn, with small data."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.config.models import DataConfig
from sweep.datasets import DATASETS
from tests.datasets.fixtures import configure


@pytest.fixture(params=sorted(DATASETS))
def member(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DataConfig:
    """Return a config that names one member, and the path of its files if it reads files."""
    return configure(request.param, tmp_path / "files", monkeypatch)
