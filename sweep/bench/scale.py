"""The bench of scale: in a long study, does the last trial take as long as the first?

The study, its rule, log, tables and runner are real. A trial does nothing but yield its measures
and its accuracy (`sweep.bench.overhead.nothing`). The figure is the mean time from the start of
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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.bench.timing import Figure, describe
from sweep.config.study import StudyConfig
from sweep.core.events import Event, TrialStarted
from sweep.launch import launch
from sweep.log.study_folder import EVENTS
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


def run(
    *, repeats: int = 3, trials: int = 10_000, runner: str = "local", rule: str = "goldilocks"
) -> Figure:
    """Return seconds per trial of the last thousand, and of the first.

    Wanted: a ratio of at most 1.2, 1 GB of memory, and 2 s for each command.

    Args:
        repeats: timed runs of each command, of which the median is given.
        trials: trials of the study.
        runner: `local` or `ray`. Ray adds a growth of its own.
        rule: name of the rule.
    """
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        clock = _Clock()
        peak_before, began = _peak_bytes(), time.perf_counter()
        launch.run(
            _config(trials, runner, rule), results=results, watch=clock, warn=lambda sentence: None
        )
        study_seconds, peak_bytes = time.perf_counter() - began, _peak_bytes()
        timed = {command: _seconds(words, results, repeats) for command, words in COMMANDS.items()}
        walls = {command: [wall for wall, _ in pairs] for command, pairs in timed.items()}
        cpus = {command: [cpu for _, cpu in pairs] for command, pairs in timed.items()}
        log_bytes = (results / NAME / EVENTS).stat().st_size
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
            "driver_peak_bytes": peak_bytes,
            "driver_peak_bytes_before": peak_before,
            "log_bytes": log_bytes,
            **{f"{name}_seconds": statistics.median(walls[name]) for name in walls},
            **{f"{name}_cpu_seconds": statistics.median(cpus[name]) for name in cpus},
        },
    )


class _Clock:
    """Records when each trial was started for the first time. It is a `launch.Watch`.

    Attributes:
        wall: seconds of the wall clock.
        cpu: processor seconds of this process, which a busy disk does not change.
    """

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    @contextmanager
    def __call__(self, study: Study, config: StudyConfig, folder: Location) -> Iterator[Listener]:
        yield self._record

    def _record(self, event: Event) -> None:
        if isinstance(event, TrialStarted) and event.attempt == 1:
            self.wall.append(time.perf_counter())
            self.cpu.append(time.process_time())


def _per_trial(starts: list[float], part: int) -> tuple[float, float]:
    """Return the mean time between two starts, in the first `part` trials and in the last."""
    count = min(part, len(starts) - 1)
    return (starts[count] - starts[0]) / count, (starts[-1] - starts[-1 - count]) / count


def _config(trials: int, runner: str, rule: str) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "name": NAME,
            "trial": "sweep.bench.overhead:nothing",
            "space": {"axes": {"options.number": list(range(trials))}},
            "rule": {"name": rule},
            "resources": {"runner": runner},
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
