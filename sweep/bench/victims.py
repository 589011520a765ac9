"""What can be killed besides a driver: a worker amid a trial, and a node of a small cluster.

Processes are told apart by a mark in their environment, as `sweep.runners.ray.guardian` does.
Linux only: it is `/proc` that tells who bears it.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.log.study_folder import TRIALS
from sweep.runners.ray.guardian import PROC, bearers, bearing, guarded
from sweep.runners.worker import HOLD

Life = tuple[int, str]
"""A process: its number, and when it began; numbers are given out again."""

HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 5,
}
"""A dead node is noticed after some 5 s here; Ray's own settings take 15."""


def life(pid: int) -> Life | None:
    """Return a living process, None where there is none, or a zombie."""
    with contextlib.suppress(OSError):
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        if fields[0] not in "ZX":
            return pid, fields[19]
    return None


def lives(mark: Mapping[str, str]) -> set[Life]:
    """Return the living processes that bear a mark."""
    return {found for pid in bearers(mark) if (found := life(pid)) is not None}


def parent(pid: int) -> int:
    """Return a process's parent, 0 where it is gone."""
    with contextlib.suppress(OSError):
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def workers(mark: Mapping[str, str], folder: Path) -> dict[int, str]:
    """Return the processes amid a trial of the study in `folder`: number -> trial."""
    found = {}
    for pid in bearers(mark):
        with contextlib.suppress(OSError):
            for link in (PROC / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = link.readlink()
                    if target.name == HOLD and target.parent.parent == folder / TRIALS:
                        found[pid] = target.parent.name
    return found


def patiently(start: Callable[[], Any], *, tries: int = 12) -> Any:
    """Return what `start` does; Ray's raylet gives up where a busy machine keeps it waiting.

    Signals stay ours: a node that starts takes SIGTERM over for its whole process.
    """
    ours = signal.getsignal(signal.SIGTERM)
    try:
        for _ in range(tries - 1):
            try:
                return start()
            except Exception as error:  # Ray raises just that
                if "timed out" not in str(error):
                    raise
        return start()
    finally:
        signal.signal(signal.SIGTERM, ours)


class Nodes:
    """A cluster of two nodes, one core each, of which the second may be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": HEALTH}
        self._cluster: Any = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._second: Any = None
        self.replace_second()

    @property
    def address(self) -> str:
        """Where a driver joins."""
        return str(self._cluster.address)

    @property
    def raylet(self) -> int:
        """The second node's raylet."""
        return int(self._raylet.pid)

    @property
    def _raylet(self) -> Any:
        return self._second.all_processes["raylet"][0].process

    def kill_second(self) -> None:
        """Kill the second node's raylet; its workers look for their parent, so no zombie stays."""
        self._raylet.kill()
        self._raylet.wait()

    def replace_second(self) -> None:
        """Add another second node, in place of one that was killed."""
        if self._second is not None:
            self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = patiently(lambda: self._cluster.add_node(num_cpus=1, wait=False))

    def close(self) -> None:
        """End both nodes."""
        self._cluster.shutdown()


@contextlib.contextmanager
def nodes() -> Iterator[tuple[Nodes, Mapping[str, str]]]:
    """Yield a cluster, and the mark that its processes bear; it ends with us, as they do."""
    with guarded() as mark, bearing(mark):  # the nodes that are added later, too
        found = Nodes()
        try:
            yield found, mark
        finally:
            found.close()
