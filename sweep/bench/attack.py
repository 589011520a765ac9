"""One real study that is attacked: its driver, a worker or a node is killed.

The study trains tiny nets, two at a time, with looks during training, holds and probes. It joins a
cluster of two nodes, or its driver starts a Ray of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from sweep.bench.promises import Sight, observations, sight
from sweep.bench.victims import Nodes, carriers, workers

STARTED = "--- a driver starts\n"
LOST_SECONDS = 240.0
"""A study whose log does not grow for so long has stopped."""

STUDY = """
[data]
name = "digits"
[encoder]
name = "small_conv"
[augment]
flip = 0.0
[train]
epochs = 3
batch = 128
precision = "float32"
[criteria]
alpha.last = 30
images = 500
at = [0.5]
[probe]
at = [0.5]
[space.axes]
d = [8, 16, 32, 64]
lambd = [0.005, 0.1]
[rule]
name = "paper"
round = 4
[resources]
parallel = 2
retries = 1000
heartbeat_seconds = 0.2
checkpoint_seconds = 0.5
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A kill.

    Args:
        time: seconds since the epoch.
        trials: the trials that ran on what was killed; None for all.
        doomed: the processes that must end with it.
    """

    time: float
    trials: frozenset[str] | None
    doomed: set[psutil.Process]


class Attack:
    """One study, and the processes that run it.

    Args:
        folder: of the study.
        joined: the cluster that it joins; None if its driver starts a Ray of its own.
        drivers: the mark of the driver and of the processes that the driver starts.
        cluster: the mark of the processes that the cluster starts.
    """

    def __init__(
        self,
        folder: Path,
        joined: Nodes | None,
        *,
        drivers: Mapping[str, str],
        cluster: Mapping[str, str],
    ) -> None:
        self.folder = folder
        self.sights: list[Sight] = []
        self._joined, self._drivers = joined, drivers
        self._ours = cluster if joined else drivers
        self._output = folder.with_suffix(".txt")
        self._config = folder.with_suffix(".toml")
        self._config.write_text(STUDY, encoding="utf-8")
        self._heard = (0, time.monotonic())
        self._driver = self._start()

    def ended(self) -> bool:
        """Return whether the study has ended; raise `RuntimeError` if it has stopped instead."""
        code = self._driver.poll()
        lines = len(sight(self.folder).lines)
        if lines != self._heard[0]:
            self._heard = (lines, time.monotonic())
        if code is None and time.monotonic() - self._heard[1] < LOST_SECONDS:
            return False
        if code == 0:
            return True
        output = self._output.read_text(encoding="utf-8", errors="replace")[-2000:]
        if "Ray did not start" not in output.rpartition(STARTED)[2]:
            raise RuntimeError(f"The driver's exit code is {code}, and it printed:\n{output}")
        self._driver = self._start()
        return False

    def hit(self, kind: str) -> Hit | None:
        """Kill -9 a driver, a worker or a node, if there is one; return what was hit."""
        now = workers(self._ours, self.folder)
        doomed = set(now)
        self.sights.append(sight(self.folder))
        match kind:
            case "driver":
                if self._joined is None:
                    started = carriers(self._drivers)
                    doomed = {process for process in started if process.pid != self._driver.pid}
                self._driver.kill()
                self._driver.wait()
                return Hit(time=time.time(), trials=None, doomed=doomed)
            case "worker" if now:
                process, trial_id = min(now.items(), key=lambda item: item[0].pid)
                process.kill()
                return Hit(time=time.time(), trials=frozenset({trial_id}), doomed=set())
            case "node" if self._joined is not None:
                doomed &= self._joined.workers_of_second()
                if doomed:
                    self._joined.kill_second()
                    trials = frozenset(now[process] for process in doomed)
                    return Hit(time=time.time(), trials=trials, doomed=doomed)
        return None

    def heal(self, kind: str) -> None:
        """Do what a user would: resume the study, or replace the node."""
        if kind == "driver":
            self._driver = self._start()
        elif kind == "node" and self._joined is not None:
            self._joined.replace_second()

    def recovery(self, hit: Hit) -> float | None:
        """Return the seconds from a hit to the next observation of its trials, None without one."""
        while not self.ended():
            for event in observations(sight(self.folder).lines):
                if event.time > hit.time and (hit.trials is None or event.trial_id in hit.trials):
                    return event.time - hit.time
            time.sleep(0.2)
        return None

    def close(self) -> None:
        """End the driver, if it has not ended."""
        self._driver.kill()
        self._driver.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a driver, which starts the study or resumes it."""
        results = str(self.folder.parent)
        words = ["run", str(self._config), "--results", results]
        if sight(self.folder).lines:
            words = ["resume", str(self.folder), "--results", results]
        if self._joined is not None:
            words += ["--address", self._joined.address]
        with self._output.open("a", encoding="utf-8") as file:
            file.write(STARTED)
            file.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "sweep.cli", *words],
                env={**os.environ, **self._drivers},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
