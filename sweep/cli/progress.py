"""What a person sees while a study runs.

A live view on a terminal, plain lines elsewhere, nothing with `--quiet`. It reads the study's
history and its events, and decides nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import MofNCompleteColumn, Progress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.config.study import StudyConfig
from sweep.core.events import (
    Decided,
    Event,
    Idled,
    Observed,
    Suggested,
    TrialFailed,
    ZoneMoved,
    trial_of,
)
from sweep.core.history import State
from sweep.core.outcome import outcome
from sweep.core.records import Observation
from sweep.core.text import one_line
from sweep.log.study_folder import trial_folder
from sweep.storage.location import Location
from sweep.study import Listener, Study


class Watcher:
    """Chooses the view: live on a terminal, lines elsewhere, none if quiet.

    Args:
        console: to print to.
        quiet: show nothing.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet

    @contextlib.contextmanager
    def __call__(self, study: Study, config: StudyConfig, folder: Location) -> Iterator[Listener]:
        if self._quiet:
            yield lambda event: None
            return
        lines = _Lines(self._console, study, folder)
        if not self._console.is_terminal:
            yield lines
            return
        view = _View(study, config, folder)
        with Live(view, console=self._console, refresh_per_second=2, transient=True):

            def listener(event: Event) -> None:
                view(event)
                lines.only_trouble(event)

            yield listener


@contextlib.contextmanager
def decoding(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on the terminal of stderr while images are decoded, and remove it afterwards.

    Yields what takes the number of images done, and of how many.
    """
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:

        def progress(done: int, of: int) -> None:
            if not bar.task_ids:
                bar.add_task("decoding")
            bar.update(bar.task_ids[0], completed=done, total=of)

        yield progress


class _Lines:
    """Prints a line for each observation, verdict, failure and move of the zone."""

    def __init__(self, console: Console, study: Study, folder: Location) -> None:
        self._console, self._study, self._folder = console, study, folder
        self._seconds: dict[str, float] = {}
        self._zone = ""

    def __call__(self, event: Event) -> None:
        if (text := self._line(event)) is not None:
            stamp = time.strftime("%H:%M:%S", time.localtime(event.time))
            self._console.print(
                Text(one_line(f"{stamp}  {trial_of(event):10}  {text}")), soft_wrap=True
            )

    def only_trouble(self, event: Event) -> None:
        """Print failures, which the live view does not show."""
        if isinstance(event, TrialFailed):
            self(event)

    def _line(self, event: Event) -> str | None:
        match event:
            case Observed():
                return self._observation(event.trial_id, event.observation)
            case Decided():
                return f"{event.action}: {event.reason}"
            case ZoneMoved():
                before, self._zone = self._zone, str(event.zone)
                return None if before == self._zone else f"zone {self._zone}"
            case TrialFailed():
                log = trial_folder(self._folder, event.trial_id) / "log.txt"
                then = "given up" if event.final else "will be tried again"
                return f"failed: {event.failure.error} ({then}; see {log})"
            case Suggested(begin=None):
                return f"a worker idles: {event.idle}"
            case Idled():
                return f"nothing runs: {event.reason}"
        return None

    def _observation(self, trial_id: str, observation: Observation) -> str | None:
        seconds = observation.cost.wall_seconds
        if observation.stage == "pretrain":
            self._seconds[trial_id] = self._seconds.get(trial_id, 0.0) + seconds
            return None
        if observation.stage == "trained":
            seconds += self._seconds.pop(trial_id, 0.0)
        numbers = ", ".join(
            f"{m.name} {m.value:.4g}" if m.value is not None else f"{m.name} {m.status}"
            for m in observation.measures
        )
        at = "" if observation.final else f" at {observation.fraction:.0%}"
        point = ""
        if observation.stage == "trained":
            history = self._study.history
            point = "".join(f"  {word}" for word in _words(history.point(history.row(trial_id))))
        return f"{observation.stage}{at}: {numbers} ({seconds:.1f} s){point}"


class _View:
    """The live view: states, zone, best so far, probes, budget, time left."""

    def __init__(self, study: Study, config: StudyConfig, folder: Location) -> None:
        self._study, self._config, self._folder = study, config, folder
        self._began = time.monotonic()
        self._fractions: dict[str, float] = {}
        self._at_start = -1.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Observed):
            self._fractions[event.trial_id] = event.observation.fraction

    def __rich__(self) -> Panel:
        history, total = self._study.history, max(1, len(self._study.history))
        done = self._done()
        if self._at_start < 0:
            self._at_start = done
        grid = Table.grid(padding=(0, 2))
        counts = {state: history.count(state) for state in State}
        states = "  ".join(f"{n} {state.name.lower()}" for state, n in counts.items() if n)
        grid.add_row("trials", states or "none yet")
        grid.add_row("zone", f"alpha in {history.zone}")
        grid.add_row("best", Text(one_line(self._best())))
        saved = outcome(history, "").probes_saved - history.count(State.WAITING, State.HELD)
        grid.add_row("probes", f"{history.count(State.PROBED)} paid, {max(0, saved)} saved")
        grid.add_row("budget", self._budget())
        grid.add_row("time left", self._left(done))
        bar = ProgressBar(total=total, completed=done * total, width=60)
        title = Text(one_line(f"{self._config.name} ({self._folder})"))
        return Panel(Group(grid, bar), title=title, title_align="left", width=100)

    def _done(self) -> float:
        """Return the share of all pretraining that is done, 0 to 1."""
        history = self._study.history
        if len(history) == 0:
            return 0.0
        state = history.state
        whole = int((state >= State.WAITING).sum())
        part = sum(
            self._fractions.get(trial_id, 0.0)
            for trial_id in list(self._study.working)
            if history.state_of(trial_id) == State.TRAINING
        )
        return (whole + part) / len(history)

    def _best(self) -> str:
        history = self._study.history
        best = outcome(history, "")
        if best.winner is None or best.accuracy is None:
            return "nothing probed yet"
        row = history.row(best.winner)
        words = _words({**history.point(row), "alpha": float(history.column("alpha")[row])})
        metric = self._config.probe.metric
        named = "" if metric == "accuracy" else f"{metric.replace('_', ' ')} "
        return f"{named}{best.accuracy:.2%}  {'  '.join(words)}  ({best.winner})"

    def _budget(self) -> str:
        limits = self._study.budget.model_dump(exclude_none=True)
        if not limits:
            return "without limit"
        return self._study.exhausted() or ", ".join(f"{k} {v:g}" for k, v in limits.items())

    def _left(self, done: float) -> str:
        gained = done - self._at_start
        if gained <= 0.02:
            return "not known yet"
        seconds = (time.monotonic() - self._began) / gained * (1.0 - done)
        return f"about {duration(seconds)}"


def duration(seconds: float) -> str:
    """Return seconds in a unit that is easy to read: `45 s`, `12 min`, `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _words(point: Mapping[str, float | str]) -> list[str]:
    """Return `NAME VALUE` for each value of a point that is known."""
    return [
        f"{name} {value}" if isinstance(value, str) else f"{name} {value:g}"
        for name, value in point.items()
        if value == value
    ]
