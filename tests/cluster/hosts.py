"""Two hosts on one machine: each has its own network, processes, host name, /tmp/ray and /dev/shm.

A host is a set of Linux namespaces. Its first process reaps the processes that it inherits. When
that process ends, the kernel ends all others of the host, so nothing is left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.processes import wait_until

ROOT = Path(__file__).parents[2]
NEEDED = ("ip", "nsenter", "unshare", "mount")
FIRST_PROCESS = """
import os, signal
print(os.readlink("/proc/self/ns/pid"), flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
while True:
    signal.sigwait([signal.SIGCHLD])
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""


@dataclass(kw_only=True)
class Host:
    """A host.

    Args:
        name: its host name.
        ip: its address in the network of both hosts.
        folder: its own, with its home and its logs.
        pid: of its first process, as this process sees it.
        environment: of what runs on it.
    """

    name: str
    ip: str
    folder: Path
    pid: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, words: Sequence[str], folder: Path | None = None) -> list[str]:
        """Return the command that runs a command on this host."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n"]
        return [*enter, f"--wd={folder or self.folder}", *words]

    def run(
        self,
        *words: str,
        timeout: float = 120,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; both of its outputs are in `stdout`."""
        return subprocess.run(
            self.command(words, folder),
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *words: str, log: str, folder: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command, whose output goes to a file of the host's folder.

        Ctrl-C reaches it although a shell may have started the tests in the background.
        """
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(
                self.command(["env", "--default-signal=INT", *words], folder),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def processes(self, part: str) -> list[int]:
        """Return the processes of the host, by its own numbers, whose command holds a text."""
        listed = self.run("ps", "-ewwo", "pid=,args=").stdout.splitlines()
        rows = [line.strip().partition(" ") for line in listed]
        return [int(pid) for pid, _, words in rows if part in words and " -ewwo " not in words]

    def send(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of the host."""
        self.run("kill", f"-{int(number)}", str(pid))


def skip_unless_possible() -> None:
    """Skip the test where this machine or user cannot make hosts."""
    if sys.platform != "linux":
        pytest.skip("only Linux has namespaces")
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    made = subprocess.run(
        ["unshare", "-n", "-m", "-p", "-f", "true"], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"this machine makes no namespaces: {made.stderr.strip()}")


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Yield two hosts that reach each other and share this machine's files.

    Args:
        folder: an empty one, for the homes and logs of the hosts.
    """
    word = secrets.token_hex(2)
    pair = [Host(name=f"{n}{word}", ip=f"10.79.0.{i}", folder=folder / n)
            for i, n in ((1, "one"), (2, "two"))]  # fmt: skip
    names = "".join(f"{host.ip} {host.name}\n" for host in pair)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
    Path("/tmp/ray").mkdir(exist_ok=True)
    first = []
    try:
        for host in pair:
            _ip("netns", "add", host.name)
        ends = [f"e{word}", f"f{word}"]
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for host, end in zip(pair, ends, strict=True):
            _ip("link", "set", end, "netns", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "addr", "add", f"{host.ip}/24", "dev", end)
            _ip("-n", host.name, "link", "set", end, "up")
        for host in pair:
            first.append(_begin(host, folder / "hosts"))
        yield pair[0], pair[1]
    finally:
        for process in first:
            process.kill()
            process.wait()
        wait_until(lambda: not any(Path(f"/proc/{host.pid}").exists() for host in pair if host.pid))
        for host in pair:
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)


def _begin(host: Host, hosts_file: Path) -> subprocess.Popen[str]:
    """Start the first process of a host, and note its number."""
    for name in ("ray", "home"):
        (host.folder / name).mkdir(parents=True)
    setup = (
        f"hostname {host.name} && mount --make-rprivate / && "
        f"mount --bind {host.folder}/ray /tmp/ray && mount -t tmpfs -o size=2g tmpfs /dev/shm && "
        f"mount --bind {hosts_file} /etc/hosts && exec {sys.executable} -I -c '{FIRST_PROCESS}'"
    )
    words = ["ip", "netns", "exec", host.name, "unshare", "-m", "-p", "-u", "-i", "-f"]
    process = subprocess.Popen(
        [*words, "--kill-child", "--mount-proc", "bash", "-c", setup],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_end_with_this_process,
    )
    assert process.stdout is not None
    namespace = process.stdout.readline().strip()
    assert namespace.startswith("pid:["), f"{host.name} did not start"
    host.pid = _process_of(namespace)
    host.environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(host.folder / "home"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "SWEEP_CACHE": str(host.folder / "home" / "cache"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return process


def _end_with_this_process() -> None:
    """Let the kernel end this child, and so its host, when the tests are killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _process_of(namespace: str) -> int:
    """Return the lowest process, as seen here, of a namespace of processes."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            with contextlib.suppress(OSError):
                if str((entry / "ns" / "pid").readlink()) == namespace:
                    return int(entry.name)
    raise AssertionError(f"no process has the namespace {namespace}")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
