"""A study of very many trials that do nothing: does the ten-thousandth cost what the first did?

The real study, rule, log, tables and runner; a trial yields its measures and its accuracy at
once (`sweep.bench.overhead.nothing`). The baseline is the study's own first thousand trials, from
the start of one to the start of the next. Afterwards the commands that a person would type are
timed whole, each in a process of its own, beside a process that imports what they need and does
nothing. TMPDIR chooses the disk.
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
from sweep.config.models import StudyConfig
from sweep.core.records import Event
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
PART = 1000


def run(
    *, repeats: int = 3, trials: int = 10_000, runner: str = "local", rule: str = "goldilocks"
) -> Figure:
    """Return seconds per trial of the last thousand, and of the first.

    Bars: a ratio of 1.2; 1 GB of memory; 2 s for each command.

    Args:
        repeats: of each command; its median is given.
        trials: of the study.
        runner: `local`, or `ray`, which has its own growth.
        rule: who decides.
    """
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        clock = _Clock()
        before, began = _peak_bytes(), time.perf_counter()
        launch.run(
            _config(trials, runner, rule), results=results, watch=clock, warn=lambda sentence: None
        )
        whole, peak = time.perf_counter() - began, _peak_bytes()
        timed = {command: _seconds(words, results, repeats) for command, words in COMMANDS.items()}
        took = {command: [wall for wall, _ in pairs] for command, pairs in timed.items()}
        worked = {command: [cpu for _, cpu in pairs] for command, pairs in timed.items()}
        log_bytes = (results / NAME / EVENTS).stat().st_size
    part = max(1, min(PART, len(clock.wall) // 2))
    first, last = _per_trial(clock.wall, part)
    cpu_first, cpu_last = _per_trial(clock.cpu, part)
    return Figure(
        name="scale",
        value=last,
        unit="s",
        baseline=first,
        ratio=last / first,
        spread={f"{name}_seconds": (min(took[name]), max(took[name])) for name in took},
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
            "study_seconds": whole,
            "driver_peak_bytes": peak,
            "driver_peak_bytes_before": before,
            "log_bytes": log_bytes,
            **{f"{name}_seconds": statistics.median(took[name]) for name in took},
            **{f"{name}_cpu_seconds": statistics.median(worked[name]) for name in worked},
        },
    )


class _Clock:
    """Notes when each trial was started for the first time; a `launch.Watch`.

    Attributes:
        wall: on the clock.
        cpu: in seconds of this process, which a busy disk does not lengthen.
    """

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    @contextmanager
    def __call__(self, study: Study, config: StudyConfig, folder: Location) -> Iterator[Listener]:
        yield self._hear

    def _hear(self, event: Event) -> None:
        if event.kind == "start" and event.attempt == 1:
            self.wall.append(time.perf_counter())
            self.cpu.append(time.process_time())


def _per_trial(starts: list[float], part: int) -> tuple[float, float]:
    """Return the mean time between two starts, of the first part and of the last."""
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
    """Return the seconds of a whole command, process and all, each time: wall, and at work."""
    where = ["--results", str(results)] if "-m" in words else []
    taken = []
    for _ in range(repeats):
        began, before = time.perf_counter(), _children_seconds()
        subprocess.run([sys.executable, *words, *where], stdout=subprocess.DEVNULL, check=True)
        taken.append((time.perf_counter() - began, _children_seconds() - before))
    return taken


def _children_seconds() -> float:
    """Return the processor's seconds of all ended subprocesses: a busy machine adds nothing."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
