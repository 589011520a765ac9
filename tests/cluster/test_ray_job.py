"""`cluster/ray-job.sh`, and the command in `cluster/rayjob.yaml`, on a Ray of two hosts."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sweep import Results
from tests.cluster import tiny
from tests.cluster.hosts import ROOT, Host, skip_unless_possible, two_hosts
from tests.processes import wait_until

SCRIPT = ROOT / "cluster" / "ray-job.sh"


@dataclass(kw_only=True)
class Cluster:
    """A Ray whose head does no work, on two hosts, and a folder that both see."""

    head: Host
    worker: Host
    folder: Path

    @property
    def address(self) -> str:
        """Of the job server."""
        return f"http://{self.head.ip}:8265"

    def ray_job(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the script on the host that is not the head."""
        command = ["bash", str(SCRIPT), self.address, "tiny.toml", *words]
        return self.worker.run(*command, folder=self.folder, timeout=200)


@pytest.mark.slow
def test_a_job_is_stopped_and_goes_on_with_the_same_command(cluster: Cluster) -> None:
    words = ["--results", str(cluster.folder / "results")]
    command = ["bash", str(SCRIPT), cluster.address, str(cluster.folder / "tiny.toml"), *words]
    first = cluster.worker.start(*command, log="first")
    output = cluster.worker.folder / "first"
    wait_until(lambda: " probed: " in output.read_text(), 120)
    cluster.head.run("ray", "job", "stop", "tiny", "--address", cluster.address)
    assert first.wait(timeout=60) == 75
    assert "The study stopped before its end" in output.read_text()

    again = cluster.ray_job(*words)
    assert again.returncode == 0, again.stdout
    assert "winner" in again.stdout
    probed = tiny.probed(cluster.folder / "results")
    assert probed == tiny.CANDIDATES, "a stage was repeated, or a candidate left out"

    other = cluster.ray_job("--results", str(cluster.folder / "results"), "train.epochs=3")
    assert other.returncode == 2
    assert "began with another config" in other.stdout


@pytest.mark.slow
def test_the_command_of_the_manifest_is_a_job_that_ray_runs(cluster: Cluster) -> None:
    spec = yaml.safe_load((ROOT / "cluster" / "rayjob.yaml").read_text())["spec"]
    results = cluster.folder / "results"
    command = spec["entrypoint"]
    for name, value in (
        ("/study/mine.toml", str(cluster.folder / "tiny.toml")),
        ("s3://BUCKET/sweeps", str(results)),
        ("resources.gpu=1", "resources.gpu=0"),
        ("resources.parallel=4", "resources.parallel=1"),
    ):
        assert name in command
        command = command.replace(name, value)
    environment = cluster.folder / "environment.yaml"
    environment.write_text(spec["runtimeEnvYAML"])
    ran = cluster.worker.run(
        "ray", "job", "submit", f"--address={cluster.address}", f"--runtime-env={environment}",
        "--", *shlex.split(command), timeout=200,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    outcome = Results(results / "tiny").outcome
    assert outcome is not None
    assert outcome.winner is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "token", "sentence"),
    [
        ("http://10.79.0.1:8266", "t" * 40, "Failed to connect to Ray"),
        ("http://10.79.0.1:8265", "u" * 40, "Invalid authentication token"),
    ],
    ids=["no head", "a wrong token"],
)
def test_a_head_that_refuses_or_does_not_answer_gives_a_sentence(
    cluster: Cluster, address: str, token: str, sentence: str
) -> None:
    command = ["bash", str(SCRIPT), address, str(cluster.folder / "tiny.toml")]
    ran = cluster.worker.run(*command, environment={"RAY_AUTH_TOKEN": token})
    assert ran.returncode == 2
    assert sentence in ran.stdout
    assert f"the lines above say why {address} did not answer" in ran.stdout


@pytest.mark.slow
def test_a_lost_head_ends_the_script_with_75(cluster: Cluster) -> None:
    """The last test of the hosts, which are of no use afterwards."""
    command = ["bash", str(SCRIPT), cluster.address, str(cluster.folder / "tiny.toml")]
    words = ["--results", str(cluster.folder / "results"), "train.epochs=200"]
    script = cluster.worker.start(*command, *words, log="lost")
    output = cluster.worker.folder / "lost"
    wait_until(lambda: "Running entrypoint" in output.read_text(), 120)
    for pid in cluster.head.processes("ray"):
        cluster.head.send(pid, signal.SIGKILL)
    assert script.wait(timeout=180) == 75
    assert "the same command goes on" in output.read_text()


def test_the_script_without_a_config_or_a_name_says_what_it_needs(tmp_path: Path) -> None:
    nameless = tmp_path / "nameless.toml"
    nameless.write_text('[data]\nname = "digits"\n')
    for words, sentence in (
        ([], "Usage: cluster/ray-job.sh"),
        (["http://head:8265", str(tmp_path / "none.toml")], "Usage: cluster/ray-job.sh"),
        (["http://head:8265", str(nameless)], "has no line: name"),
    ):
        ran = subprocess.run(["bash", SCRIPT, *words], capture_output=True, text=True)
        assert ran.returncode == 2
        assert sentence in ran.stderr


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """Two hosts, a head without work and a worker of two cores, with a token."""
    skip_unless_possible()
    with two_hosts(tmp_path_factory.mktemp("cluster") / "hosts") as (head, worker):
        for host in (head, worker):
            host.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 40}
        head.start(
            "ray", "start", "--head", "--port=6379", "--num-cpus=0", "--dashboard-host=0.0.0.0",
            f"--node-ip-address={head.ip}", "--block", log="node.log",
        )  # fmt: skip
        listening = ("python", "-c", "import socket; socket.create_connection(('%s', %d), 1)")
        for port in (6379, 8265):
            program = listening[2] % (head.ip, port)
            wait_until(lambda p=program: head.run(*listening[:2], p).returncode == 0, 60)  # type: ignore[misc]  # mypy infers no default's type
        worker.start(
            "ray", "start", f"--address={head.ip}:6379", f"--node-ip-address={worker.ip}",
            "--num-cpus=2", "--block", log="node.log",
        )  # fmt: skip
        wait_until(lambda: "Ray runtime started" in (worker.folder / "node.log").read_text(), 60)
        yield head, worker


@pytest.fixture
def cluster(hosts: tuple[Host, Host], tmp_path: Path) -> Cluster:
    """A cluster, and a folder with a study in it."""
    (tmp_path / "tiny.toml").write_text(tiny.TOML)
    return Cluster(head=hosts[0], worker=hosts[1], folder=tmp_path)
