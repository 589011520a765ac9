"""What the bench kills besides a driver: a worker in the middle of a trial, and a node.

Processes are told apart by a mark in their environment, as in `sweep.runners.ray.guardian`, and so
on Linux only.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from sweep.log.study_folder import TRIALS
from sweep.runners.ray.guardian import guarded, in_environment, marked
from sweep.runners.worker import LOCK

HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
}
"""With these variables Ray notices a dead node after some 5 s. By default it takes 15 s."""


def alive(process: psutil.Process) -> bool:
    """Return whether a process runs: it has not ended, and is no zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() not in (
            psutil.STATUS_ZOMBIE,
            psutil.STATUS_DEAD,
        )
    return False


def carriers(mark: Mapping[str, str]) -> set[psutil.Process]:
    """Return the running processes that started with this mark in their environment."""
    processes = set()
    for pid in marked(mark):
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.add(psutil.Process(pid))
    return {process for process in processes if alive(process)}


def workers(mark: Mapping[str, str], folder: Path) -> dict[psutil.Process, str]:
    """Return the processes in the middle of a trial of the study in `folder`, and the trial."""
    trials = {}
    for process in carriers(mark):
        with contextlib.suppress(psutil.Error):
            for file in map(Path, (opened.path for opened in process.open_files())):
                if file.name == LOCK and file.parent.parent == folder / TRIALS:
                    trials[process] = file.parent.name
    return trials


def patiently(start: Callable[[], Any], *, tries: int = 12) -> Any:
    """Return the result of `start`, tried again where Ray gives up because the machine is busy.

    A node that starts replaces this process's handler of SIGTERM; the handler is put back.
    """
    ours = signal.getsignal(signal.SIGTERM)
    try:
        for _ in range(tries - 1):
            try:
                return start()
            except Exception as error:  # Ray raises no narrower class
                if "timed out" not in str(error):
                    raise
        return start()
    finally:
        signal.signal(signal.SIGTERM, ours)


class Nodes:
    """A cluster of two nodes, one core each, of which the second may be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False}
        with in_environment(HEALTH):
            self._cluster: Any = patiently(
                lambda: Cluster(initialize_head=True, head_node_args=head)
            )
        self._second: Any = None
        self.replace_second()

    @property
    def address(self) -> str:
        """The address at which a driver joins."""
        return str(self._cluster.address)

    @property
    def _raylet(self) -> Any:
        return self._second.all_processes["raylet"][0].process

    def workers_of_second(self) -> set[psutil.Process]:
        """Return the processes that run on the second node."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return set(psutil.Process(self._raylet.pid).children())
        return set()

    def kill_second(self) -> None:
        """Kill the second node's raylet; its workers then end by themselves."""
        self._raylet.kill()
        self._raylet.wait()  # a zombie would look alive to the workers

    def replace_second(self) -> None:
        """Add another second node in place of the one that was killed."""
        if self._second is not None:
            self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = patiently(lambda: self._cluster.add_node(num_cpus=1, wait=False))

    def close(self) -> None:
        """End both nodes."""
        self._cluster.shutdown()


@contextlib.contextmanager
def nodes() -> Iterator[tuple[Nodes, Mapping[str, str]]]:
    """Yield a cluster, and the mark of its processes, which end with this process."""
    with guarded() as mark, in_environment(mark):  # nodes that are added later get it as well
        cluster = Nodes()
        try:
            yield cluster, mark
        finally:
            cluster.close()
