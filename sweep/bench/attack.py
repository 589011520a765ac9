"""One real study, whoever works on it, and how to hit them.

It trains tiny nets, two at a time, with looks amid training, holds and probes. It joins a
cluster of two nodes, or its driver starts a Ray of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.bench.promises import Sight, observations, sight
from sweep.bench.victims import Life, Nodes, life, lives, parent, workers

STARTED = "--- a driver starts\n"
LOST_SECONDS = 240.0
"""Without any news for so long, a study that should go on does not."""

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
last = 30
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
        trials: that were at work on what was killed; None: all.
        doomed: processes that are to end with it.
    """

    time: float
    trials: frozenset[str] | None
    doomed: set[Life]


class Attack:
    """One study, and whoever works on it.

    Args:
        folder: the study's.
        joined: the cluster that it joins; by default its driver starts a Ray of its own.
        drivers: in the environment of the driver and of what it starts.
        cluster: in that of what the cluster starts.
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
        """True once the study has ended; raise `RuntimeError` where it will not."""
        code = self._driver.poll()
        lines = len(sight(self.folder).lines)
        if lines != self._heard[0]:
            self._heard = (lines, time.monotonic())
        if code is None and time.monotonic() - self._heard[1] < LOST_SECONDS:
            return False
        if code == 0:
            return True
        said = self._output.read_text(encoding="utf-8", errors="replace")[-2000:]
        if "Ray did not start" not in said.rpartition(STARTED)[2]:
            raise RuntimeError(f"The driver's exit code is {code}, and it said:\n{said}")
        self._driver = self._start()
        return False

    def hit(self, kind: str) -> Hit | None:
        """Kill -9 one of a kind, if there is one; return what was hit."""
        now = workers(self._ours, self.folder)
        doomed = {found for pid in now if (found := life(pid)) is not None}
        self.sights.append(sight(self.folder))
        match kind:
            case "driver":
                if self._joined is None:
                    doomed = lives(self._drivers) - {life(self._driver.pid) or (0, "")}
                self._driver.kill()
                self._driver.wait()
                return Hit(time=time.time(), trials=None, doomed=doomed)
            case "worker" if now:
                pid, trial_id = min(now.items())
                os.kill(pid, signal.SIGKILL)
                return Hit(time=time.time(), trials=frozenset({trial_id}), doomed=set())
            case "node" if self._joined is not None:
                raylet = self._joined.raylet
                there = {pid: name for pid, name in now.items() if parent(pid) == raylet}
                if there:
                    self._joined.kill_second()
                    doomed = {found for found in doomed if found[0] in there}
                    return Hit(time=time.time(), trials=frozenset(there.values()), doomed=doomed)
        return None

    def heal(self, kind: str) -> None:
        """Do what a person would: resume the study, or bring a node back."""
        if kind == "driver":
            self._driver = self._start()
        elif kind == "node" and self._joined is not None:
            self._joined.replace_second()

    def recovery(self, hit: Hit) -> float | None:
        """Wait for news of what was hit; return after how many seconds it came, if it did."""
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
        """Start a driver, which begins the study or goes on with it."""
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
