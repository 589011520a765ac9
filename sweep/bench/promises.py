"""Which promises a killed study kept: folders in, counts of broken promises out.

A `Sight` is a study's folder at one moment. The sights before each kill are compared with the
folder at the end. `sweep.bench.crash` does the killing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.core.codec import decode, decode_observation
from sweep.core.events import Decided, Event, Observed
from sweep.core.records import Observation
from sweep.log.study_folder import EVENTS, TRIALS
from sweep.pretraining.journal import JOURNAL
from sweep.replay.verify import verify_study
from sweep.runners.trial_log import LOG
from sweep.storage.location import locate
from sweep.tables.results import Results

Stage = tuple[str, str, int]
"""Trial, stage, step: they name an observation."""

BEGUN = re.compile(r"(pretrain from|measure at|probe at) step (\d+)$", re.MULTILINE)
STAGES = {"measure at": "measured", "probe at": "probed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """A study's folder at one moment.

    Args:
        lines: whole lines of the log, which are acknowledged.
        done: stages whose observation is in the log or in a trial's journal.
        begun: how often each stage was begun, by the trials' log files. Pretraining may begin
            at any step, so that its entry has step 0.
    """

    lines: Sequence[bytes]
    done: frozenset[Stage]
    begun: Mapping[Stage, int]

    @property
    def events(self) -> list[Event]:
        """The log's events."""
        return [decode(line) for line in self.lines]


def sight(folder: Path) -> Sight:
    """Return a study's folder as it is now; an empty sight where there is no folder."""
    log = folder / EVENTS
    data = log.read_bytes() if log.exists() else b""
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    done = {_name(e.trial_id, e.observation) for e in observations(lines)}
    begun = Counter[Stage]()
    for trial in (folder / TRIALS).glob("*"):
        done |= {_name(trial.name, observation) for observation in _journal(trial / JOURNAL)}
        text = (trial / LOG).read_text(encoding="utf-8") if (trial / LOG).exists() else ""
        for words, step in BEGUN.findall(text):
            stage = STAGES.get(words, "trained")
            begun[trial.name, stage, 0 if stage == "trained" else int(step)] += 1
    return Sight(lines=lines, done=frozenset(done), begun=begun)


def observations(lines: Sequence[bytes]) -> list[Observed]:
    """Return the observations among a log's lines."""
    return [event for event in map(decode, lines) if isinstance(event, Observed)]


def rows_lost(sights: Sequence[Sight], after: Sight) -> int:
    """Return how many events that stood in the log once are not where they were."""
    were = {(place, line) for before in sights for place, line in enumerate(before.lines)}
    return len(were - set(enumerate(after.lines)))


def rows_doubled(folder: Path, now: Sight) -> int:
    """Return how many observations stand in the log twice, and trials in the table."""
    names = Counter(
        (e.trial_id, e.observation.stage, e.observation.step, e.observation.fraction)
        for e in observations(now.lines)
    )
    rows = Counter(Results(locate(folder)).trials["trial_id"].to_pylist())
    return sum(n - 1 for counts in (names, rows) for n in counts.values())


def stages_repeated(sights: Sequence[Sight], after: Sight) -> int:
    """Return how often a stage was begun again after a sight had it among the done ones."""
    at_first: dict[Stage, int] = {}
    for before in sights:
        for stage in before.done - at_first.keys():
            at_first[stage] = before.begun.get(stage, 0)
    return sum(after.begun.get(stage, 0) - begun for stage, begun in at_first.items())


def verdicts_contradicted(folder: Path, now: Sight) -> int:
    """Return how many verdicts undo an earlier `stop` or `continue`; one more if replay differs."""
    actions: dict[str, str] = {}
    undone = 0
    for event in now.events:
        if isinstance(event, Decided):
            undone += actions.get(event.trial_id, event.action) != event.action
            if event.action != "hold":
                actions[event.trial_id] = event.action
    return undone + (verify_study(locate(folder)).difference is not None)


def _name(trial_id: str, observation: Observation) -> Stage:
    step = 0 if observation.stage == "trained" else observation.step
    return trial_id, observation.stage, step


def _journal(path: Path) -> list[Observation]:
    """Return the observations in a journal's whole lines; the last line may be torn."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [decode_observation(line) for line in lines]
