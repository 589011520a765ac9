"""One real local Ray for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    from sweep.ray_tune.cluster import cluster

    with cluster(None):
        yield


@pytest.fixture(autouse=True, scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go where pytest cleans up."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
