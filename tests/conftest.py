"""One real local Ray and one real object store for the whole suite; and how much is fuzzed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from hypothesis import HealthCheck, Phase, settings

from sweep.storage.location import Location, locate
from tests import object_store

# Test files may import Ray before our settings do. Under `uv run`, Ray would start each worker in
# an environment that it builds for it.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
# Tests run in a process a core; more threads than cores would wait for each other, spinning.
os.environ.setdefault("OMP_NUM_THREADS", "1")

NEED_RAY = ("tests/runners/ray/", "tests/doctor/test_nodes.py")
"""Where the fixture `ray_cluster` is used; starting Ray takes a core ten seconds."""
NEED_HOSTS = "tests/cluster/"
"""Where hosts are made; two pairs of them at once are too much for a small machine."""

FEW = 50
"""Examples of each fuzzed thing; the suite's are the same each time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--examples",
        type=int,
        default=FEW,
        help="of each file of tests/fuzz, shared by its tests; the suite's few never change",
    )


def pytest_configure(config: pytest.Config) -> None:
    examples = config.getoption("--examples")
    settings.register_profile(
        "fuzz",
        max_examples=examples,
        derandomize=examples == FEW,
        phases=(Phase.explicit, Phase.generate),  # shrinking would take minutes
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    settings.load_profile("fuzz")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a file's tests in one process, all that join a Ray in one, all that make hosts in one."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        group = "ray" if file.startswith(NEED_RAY) else file
        group = "hosts" if file.startswith(NEED_HOSTS) else group
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    from sweep.runners.ray.cluster import cluster

    with cluster(None):
        yield


@pytest.fixture(autouse=True, scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go where pytest cleans up."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server, which AWS's environment variables name."""
    patch = pytest.MonkeyPatch()
    with object_store.server() as address:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="sweep")
        yield address
        patch.undo()


_numbers = itertools.count()


@pytest.fixture
def bucket(s3_server: str) -> Location:
    """A folder on the object store that nobody has used yet."""
    return locate(f"s3://sweep/{next(_numbers)}")


@pytest.fixture(params=["disk", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty folder of either kind."""
    if request.param == "disk":
        return locate(tmp_path)
    folder: Location = request.getfixturevalue("bucket")
    return folder


@pytest.fixture
def road(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[object_store.Road]:
    """A road to the object store on which things go wrong; a location made now takes it."""
    made = object_store.Road(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.address)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield made
    s3fs.S3FileSystem.clear_instance_cache()
    made.close()
