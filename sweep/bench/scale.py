"""The bench of scale: in a long study, does the last trial take as long as the first?

The study, its rule, log, tables and runner are real. A trial does nothing but yield its measures
and its accuracy (`sweep.bench.nothing`). The figure is the mean time from the start of
one trial to the start of the next, over the last thousand. Its baseline is the first thousand.

Afterwards some commands are timed, each in a process of its own. `floor` is a process that
imports what they need and does nothing. TMPDIR chooses the disk.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from sweep.bench.timing import Figure, describe
from sweep.config.study import StudyConfig
from sweep.core.events import Event, Observed, TrialStarted
from sweep.launch import launch
from sweep.log.study_folder import EVENTS, TABLES
from sweep.storage.location import Location
from sweep.study import Listener, Study

NAME = "scale"
COMMANDS = {
    "ls": ["-m", "sweep.cli", "ls"],
    "show": ["-m", "sweep.cli", "show", NAME],
    "resume": ["-m", "sweep.cli", "resume", NAME, "--quiet"],
    "floor": ["-c", "import sweep.cli.app, sweep.tables.query, sweep.cli.summary"],
}
PART_TRIALS = 1000
"""Number of trials in the first part and in the last part."""

LOOK_SECONDS = 5.0
"""Between two looks at the memory of all processes; 200 processes take 2 s of a core."""


def run(
    *,
    repeats: int = 3,
    trials: int = 10_000,
    runner: str = "local",
    rule: str = "goldilocks",
    parallel: int | None = None,
    cpu: float = 1.0,
    seconds: float = 0.0,
) -> Figure:
    """Return seconds per trial of the last thousand, and of the first.

    Wanted: a ratio of at most 1.2, 1 GB of memory, and 2 s for each command.

    Args:
        repeats: timed runs of each command, of which the median is given.
        trials: trials of the study.
        runner: `local` or `ray`.
        rule: name of the rule.
        parallel: trials at once on Ray; by default as many as fit.
        cpu: cores of a trial; or a part of one, such as 0.01, for many trials at once.
        seconds: that each trial sleeps, as one that waits for another machine.
    """
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        clock = _Clock()
        config = _config(
            trials, {"name": rule}, {"runner": runner, "parallel": parallel, "cpu": cpu}, seconds
        )
        peak_before, began = _peak_bytes(), time.perf_counter()
        with _Family() as family:
            launch.run(config, results=results, watch=clock, warn=lambda sentence: None)
        study_seconds, peak_bytes = time.perf_counter() - began, _peak_bytes()
        timed = {command: _seconds(words, results, repeats) for command, words in COMMANDS.items()}
        walls = {command: [wall for wall, _ in pairs] for command, pairs in timed.items()}
        cpus = {command: [cpu for _, cpu in pairs] for command, pairs in timed.items()}
        log = (results / NAME / EVENTS).read_bytes()
        tables_bytes = sum(file.stat().st_size for file in (results / NAME / TABLES).iterdir())
    part = max(1, min(PART_TRIALS, len(clock.wall) // 2))
    first, last = _per_trial(clock.wall, part)
    cpu_first, cpu_last = _per_trial(clock.cpu, part)
    return Figure(
        name="scale",
        value=last,
        unit="s",
        baseline=first,
        ratio=last / first,
        spread={f"{name}_seconds": (min(walls[name]), max(walls[name])) for name in walls},
        repeats=repeats,
        device=describe("cpu"),
        extra={
            "trials": trials,
            "runner": runner,
            "rule": rule,
            "part": part,
            "first_seconds_per_trial": first,
            "last_seconds_per_trial": last,
            "first_cpu_seconds_per_trial": cpu_first,
            "last_cpu_seconds_per_trial": cpu_last,
            "cpu_ratio": cpu_last / cpu_first,
            "study_seconds": study_seconds,
            "probed": clock.probed,
            "first_result_seconds": clock.first_result - began,
            "driver_peak_bytes": peak_bytes,
            "driver_peak_bytes_before": peak_before,
            "all_peak_bytes": family.peak_bytes,
            "most_processes": family.most_processes,
            "events": log.count(b"\n"),
            "log_bytes": len(log),
            "tables_bytes": tables_bytes,
            **{f"{name}_seconds": statistics.median(walls[name]) for name in walls},
            **{f"{name}_cpu_seconds": statistics.median(cpus[name]) for name in cpus},
        },
    )


class _Clock:
    """Records when each trial was started for the first time. It is a `launch.Watch`.

    Attributes:
        wall: seconds of the wall clock.
        cpu: processor seconds of this process, which a busy disk does not change.
        first_result: when the first observation of a trial came, by `time.perf_counter`.
        probed: trials that were probed.
    """

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.first_result = 0.0
        self.probed = 0

    @contextmanager
    def __call__(self, study: Study, config: StudyConfig, folder: Location) -> Iterator[Listener]:
        yield self._record

    def _record(self, event: Event) -> None:
        if isinstance(event, TrialStarted) and event.attempt == 1:
            self.wall.append(time.perf_counter())
            self.cpu.append(time.process_time())
        if isinstance(event, Observed):
            self.first_result = self.first_result or time.perf_counter()
            self.probed += event.observation.stage == "probed"


class _Family:
    """Measures the memory of this process and of those that it started, every few seconds.

    Attributes:
        peak_bytes: the most that they had together; pages that they share count once (Linux: PSS).
        most_processes: the most there were at once, with this one.
    """

    def __init__(self) -> None:
        self.peak_bytes = self.most_processes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Family:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        this, ended = psutil.Process(), False
        while not ended:
            family = [this, *this.children(recursive=True)]
            self.most_processes = max(self.most_processes, len(family))
            self.peak_bytes = max(self.peak_bytes, sum(map(_bytes_of, family)))
            ended = self._ended.wait(LOOK_SECONDS)


def _bytes_of(process: psutil.Process) -> int:
    """Return the memory of a process, with its part of shared pages where the system tells it."""
    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it has ended
        return 0
    return int(getattr(memory, "pss", memory.uss))


def _per_trial(starts: list[float], part: int) -> tuple[float, float]:
    """Return the mean time between two starts, in the first `part` trials and in the last."""
    count = min(part, len(starts) - 1)
    return (starts[count] - starts[0]) / count, (starts[-1] - starts[-1 - count]) / count


def _config(
    trials: int, rule: dict[str, Any], resources: dict[str, Any], seconds: float
) -> StudyConfig:
    return StudyConfig.parse(
        {
            "name": NAME,
            "trial": "sweep.bench.nothing:nothing",
            "options": {"seconds": seconds},
            "space": {"axes": {"options.number": list(range(trials))}},
            "rule": rule,
            "resources": resources,
        }
    )


def _seconds(words: list[str], results: Path, repeats: int) -> list[tuple[float, float]]:
    """Return the wall seconds and the processor seconds of a command's process, for each run."""
    options = ["--results", str(results)] if "-m" in words else []
    seconds = []
    for _ in range(repeats):
        began, before = time.perf_counter(), _children_seconds()
        subprocess.run([sys.executable, *words, *options], stdout=subprocess.DEVNULL, check=True)
        seconds.append((time.perf_counter() - began, _children_seconds() - before))
    return seconds


def _children_seconds() -> float:
    """Return the processor seconds of all ended subprocesses, which other load does not change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_bytes() -> int:
    """Return the peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
