"""A study whose results are on a SeaweedFS, an S3 server apart from moto, and on no disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import tiny
from tests.cluster.hosts import Host, skip_unless_possible, two_hosts
from tests.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hosts")]

RESULTS = "s3://sweep/studies"
STORE = (
    'exec 9<"$(command -v weed)" && mount -t tmpfs tmpfs /tmp && mkdir /tmp/store && '
    "exec -a weed /proc/self/fd/9 -logtostderr mini -ip {ip} "
    "-dir /tmp/store -bucket sweep -webdav=false -admin.ui=false"
)
"""The server has a /tmp of its own: its data are there, and sockets whose names are always the
same. The program is opened before, because this checkout may lie below /tmp too."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """A head with a job server and the object store, and a worker of two cores."""
    skip_unless_possible()
    (tmp_path / "tiny.toml").write_text(tiny.TOML, encoding="utf-8")
    with two_hosts(tmp_path / "hosts") as (head, worker):
        for host in (head, worker):
            host.environment |= {
                "AWS_ENDPOINT_URL": f"http://{head.ip}:8333",
                "AWS_ACCESS_KEY_ID": "anybody",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        head.start("unshare", "-m", "bash", "-c", STORE.format(ip=head.ip), log="store.log")
        ray = ["ray", "start", "--object-store-memory", "80000000", "--block"]
        head.start(
            *ray, "--head", "--num-cpus", "0", "--node-ip-address", head.ip, "--port", "6379",
            "--dashboard-host", "0.0.0.0", "--dashboard-port", "8265", log="ray.log",
        )  # fmt: skip
        for port in (6379, 8265, 8333):
            connect = f"import socket; socket.create_connection(('{head.ip}', {port}), 1)"
            wait_until(lambda c=connect: worker.run("python", "-c", c).returncode == 0, 120)  # type: ignore[misc]  # mypy infers no default's type
        worker.start(
            *ray, "--address", f"{head.ip}:6379", "--node-ip-address", worker.ip,
            "--num-cpus", "2", log="ray.log",
        )  # fmt: skip
        wait_until(lambda: "runtime started" in (worker.folder / "ray.log").read_text(), 120)
        yield head, worker


def test_a_submitted_study_is_killed_goes_on_and_is_queried_on_an_object_store(
    hosts: tuple[Host, Host], tmp_path: Path
) -> None:
    head, worker = hosts
    words = ["sweep", "submit", "tiny.toml", "--address", f"http://{head.ip}:8265"]
    words += ["--results", RESULTS, "--follow"]
    follower = worker.start(*words, log="first.log", folder=tmp_path)
    output = worker.folder / "first.log"
    wait_until(lambda: " probed: " in output.read_text(), 180)
    (driver,) = head.processes("sweep job study.toml")[-1:]
    head.run("kill", "-9", str(driver))
    assert follower.wait(timeout=60) == 75, output.read_text()

    again = worker.run(*words, folder=tmp_path, timeout=240)
    assert again.returncode == 0, again.stdout
    assert "winner" in again.stdout

    sql = "SELECT count(*) AS models, max(accuracy) AS best FROM trials WHERE status = 'probed'"
    rows = [
        json.loads(host.run("sweep", "query", "tiny", sql, "--json", "--results", RESULTS).stdout)
        for host in hosts
    ]
    assert rows[0] == rows[1]
    assert rows[0][0]["models"] == tiny.CANDIDATES
    assert 0.1 < rows[0][0]["best"] <= 1
    verified = head.run("sweep", "replay", "--verify", "tiny", "--results", RESULTS)
    assert "verdicts reproduced" in verified.stdout
