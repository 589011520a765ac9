"""Studies as jobs of a real cluster: a head with a job server and a token, and a worker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.hosts import Host, skip_unless_possible, two_hosts
from tests.launch.test_run_or_resume import OWN
from tests.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hosts")]

TOKEN = "a" * 64
CONFIG = """
trial = "own_code:trial"
options = {{ go = "{go}" }}
[space.axes]
"options.number" = [1, 2, 3, 4, 5, 6]
[rule]
name = "all"
[resources]
retries = 0
"""


@dataclass(kw_only=True)
class Lab:
    """A cluster of two hosts, and a study whose fifth trial waits for the file `go`."""

    head: Host
    worker: Host
    folder: Path

    @property
    def address(self) -> str:
        return f"http://{self.head.ip}:8265"

    @property
    def results(self) -> Path:
        return self.folder / "shared"

    def start(self) -> None:
        """Start the head and the worker."""
        ray = ["ray", "start", "--num-cpus", "1", "--object-store-memory", "80000000", "--block"]
        self.head.start(
            *ray, "--head", "--node-ip-address", self.head.ip, "--port", "6379",
            "--dashboard-host", "0.0.0.0", "--dashboard-port", "8265", log="ray.log",
        )  # fmt: skip
        wait_until(lambda: self.jobs().returncode == 0, 120)
        self.worker.start(
            *ray, "--address", f"{self.head.ip}:6379", "--node-ip-address", self.worker.ip,
            log="ray.log",
        )  # fmt: skip

    def jobs(self) -> subprocess.CompletedProcess[str]:
        return self.head.run("ray", "job", "list", "--address", self.address)

    def words(self, name: str, *more: str) -> list[str]:
        """Return the command that submits the study under a name."""
        where = ["--address", self.address, "--results", str(self.results)]
        return ["sweep", "submit", "own.toml", f"name={name}", *where, *more]

    def submit(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Submit the study from the worker, to the end of the command."""
        return self.worker.run(*self.words(name, *more), folder=self.folder / "code", timeout=300)

    def follow(self, name: str) -> subprocess.Popen[bytes]:
        """Submit and follow the study in the background; its output is in the worker's folder."""
        return self.worker.start(
            *self.words(name, "--follow"), log=f"{name}.log", folder=self.folder / "code"
        )

    def followed(self, name: str) -> str:
        return (self.worker.folder / f"{name}.log").read_text()

    def hold(self) -> None:
        (self.folder / "go").unlink(missing_ok=True)
        (self.folder / "go.waits").unlink(missing_ok=True)

    def waits(self) -> None:
        wait_until((self.folder / "go.waits").exists, 180)

    def release(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    skip_unless_possible()
    folder = tmp_path_factory.mktemp("lab")
    (folder / "code").mkdir()
    (folder / "shared").mkdir()
    (folder / "code" / "own_code.py").write_text(OWN, encoding="utf-8")
    (folder / "code" / "own.toml").write_text(CONFIG.format(go=folder / "go"), encoding="utf-8")
    with two_hosts(folder / "hosts") as (one, two):
        for host in (one, two):
            host.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
        found = Lab(head=one, worker=two, folder=folder)
        found.start()
        yield found


def test_the_doctor_of_a_cluster_looks_at_every_node(lab: Lab) -> None:
    done = lab.worker.run(
        "sweep", "doctor", "--address", lab.address, "--results", str(lab.results), timeout=300
    )
    assert done.returncode == 0, done.stdout
    assert f"ok       head             {lab.address} answers; Ray" in done.stdout
    for host in (lab.head, lab.worker):
        assert f"there: results on {host.ip}" in done.stdout
    assert "wrong" not in done.stdout


def test_what_is_wrong_gets_a_sentence_and_leaves_no_job(lab: Lab) -> None:
    absent = lab.submit("absent", "data.path=/nowhere")
    assert absent.returncode == 2
    assert "/nowhere" in absent.stdout
    without = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}
    words = lab.words("refused")
    refused = lab.worker.run(*words, folder=lab.folder / "code", environment=without)
    assert refused.returncode == 2
    assert "wants a token. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN=TOKEN" in refused.stdout
    wrong = {"RAY_AUTH_TOKEN": "b" * 64}
    refused = lab.worker.run(*words, folder=lab.folder / "code", environment=wrong)
    assert refused.returncode == 2
    assert "refuses this token" in refused.stdout
    gone = lab.worker.run("sweep", "stop", "absent", "--address", lab.address)
    assert gone.returncode == 2
    assert "has no job 'absent'" in gone.stdout
    assert not (lab.results / "absent").exists()


def test_submitted_stopped_killed_and_submitted_again_it_ends_as_one_study(lab: Lab) -> None:
    lab.hold()
    first = lab.submit("own")
    assert first.returncode == 0, first.stdout
    assert "submitted   own\nchecked     Python" in first.stdout
    lab.waits()
    again = lab.submit("own")
    assert again.returncode == 0
    assert "attached    to the job own, which runs this study already" in again.stdout
    other = lab.submit("own", "resources.retries=1")
    assert other.returncode == 2
    assert "A job 'own' runs with another config. Stop it (sweep stop own" in other.stdout

    stopped = lab.worker.run("sweep", "stop", "own", "--address", lab.address)
    assert stopped.returncode == 0, stopped.stdout
    assert "The job own has ended: stopped. Submitting the study again goes on." in stopped.stdout
    shown = lab.worker.run("sweep", "ls", "--results", str(lab.results)).stdout
    assert "own" in shown

    lab.hold()
    follower = lab.follow("own")
    lab.waits()
    (driver,) = lab.head.processes("sweep job study.toml")[-1:]
    lab.head.run("kill", "-9", str(driver))
    assert follower.wait(timeout=120) == 75, lab.followed("own")

    changed = lab.submit("own", "seed=5")
    assert changed.returncode == 2
    assert "began with another config. These keys differ: seed (0 to 5)" in changed.stdout
    lab.release()
    last = lab.submit("own", "--follow")
    assert last.returncode == 0, last.stdout
    assert "winner" in last.stdout
    printed = lab.submit("own", "--follow")  # it has ended: the same command prints its result
    assert printed.returncode == 0
    assert "winner" in printed.stdout
    verified = lab.worker.run("sweep", "replay", "--verify", "own", "--results", str(lab.results))
    assert "verdicts reproduced" in verified.stdout


def test_ctrl_c_leaves_the_job_alone(lab: Lab) -> None:
    lab.hold()
    follower = lab.follow("detached")
    lab.waits()
    (command,) = lab.worker.processes("sweep submit own.toml name=detached")
    lab.worker.run("kill", "-INT", str(command))
    assert follower.wait(timeout=60) == 130, lab.followed("detached")
    assert "Detached. The study goes on. Stop it: sweep stop detached" in lab.followed("detached")
    lab.release()
    last = lab.submit("detached", "--follow")
    assert last.returncode == 0, last.stdout


def test_a_lost_head_is_said_and_another_head_goes_on(lab: Lab) -> None:
    lab.hold()
    follower = lab.follow("lost")
    lab.waits()
    for host in (lab.head, lab.worker):
        for pid in host.processes(""):
            if pid > 1:
                host.run("kill", "-9", str(pid)) if host is lab.head else None
    assert follower.wait(timeout=180) == 75, lab.followed("lost")
    assert "No head answers at" in lab.followed("lost")
    for pid in lab.worker.processes("/ray/"):
        lab.worker.run("kill", "-9", str(pid))
    lab.start()
    lab.release()
    last = lab.submit("lost", "--follow")
    assert last.returncode == 0, last.stdout
    assert "winner" in last.stdout
