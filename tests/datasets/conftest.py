"""One config after another: each member of `DATASETS`, small."""

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
    """Return a config that names one member and, where it reads files, their place."""
    return configure(request.param, tmp_path / "files", monkeypatch)
