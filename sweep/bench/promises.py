"""What a study promises whoever kills it, and how far it was kept: folders in, counts out.

A `Sight` is what lies on the disk at one moment; those of before each kill are compared with
the end. Who kills what: `sweep.bench.crash`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.core.records import Event
from sweep.log.codec import decode
from sweep.log.study_folder import EVENTS, TRIALS
from sweep.pretraining.trial import JOURNAL
from sweep.replay.verify import verify_study
from sweep.runners.trial_log import LOG
from sweep.storage.location import locate
from sweep.tables.results import Results

Stage = tuple[str, str, int]
"""Trial, stage, step: what names an observation."""

BEGUN = re.compile(r"(pretrain from|measure at|probe at) step (\d+)$", re.MULTILINE)
STAGES = {"measure at": "measured", "probe at": "probed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """A study's folder at one moment.

    Args:
        lines: of the log, whole ones, as acknowledged.
        done: stages whose observation is in the log or in a trial's journal.
        begun: how often each stage was begun, by the trials' log files; of pretraining, which
            may be begun at any step, without the step.
    """

    lines: Sequence[bytes]
    done: frozenset[Stage]
    begun: Mapping[Stage, int]

    @property
    def events(self) -> list[Event]:
        """The log's events."""
        return [decode(line) for line in self.lines]


def sight(folder: Path) -> Sight:
    """Return what lies in a study's folder now; nothing where there is none."""
    log = folder / EVENTS
    data = log.read_bytes() if log.exists() else b""
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    done = {_name(e.trial_id, e.payload["stage"], e.payload["step"]) for e in observations(lines)}
    begun = Counter[Stage]()
    for trial in (folder / TRIALS).glob("*"):
        for seen in _journal(trial / JOURNAL):
            done.add(_name(trial.name, seen["stage"], seen["step"]))
        text = (trial / LOG).read_text(encoding="utf-8") if (trial / LOG).exists() else ""
        for words, step in BEGUN.findall(text):
            begun[_name(trial.name, STAGES.get(words, "trained"), int(step))] += 1
    return Sight(lines=lines, done=frozenset(done), begun=begun)


def observations(lines: Sequence[bytes]) -> list[Event]:
    """Return the observations among a log's lines."""
    return [event for event in map(decode, lines) if event.kind == "observation"]


def rows_lost(sights: Sequence[Sight], after: Sight) -> int:
    """Return how many events that stood in the log once are not where they were."""
    were = {(place, line) for before in sights for place, line in enumerate(before.lines)}
    return len(were - set(enumerate(after.lines)))


def rows_doubled(folder: Path, now: Sight) -> int:
    """Return how many observations stand in the log twice, and trials in the table."""
    names = Counter(
        (e.trial_id, e.payload["stage"], e.payload["step"], e.payload["fraction"])
        for e in observations(now.lines)
    )
    rows = Counter(Results(locate(folder)).trials["trial_id"].to_pylist())
    return sum(n - 1 for counts in (names, rows) for n in counts.values())


def stages_repeated(sights: Sequence[Sight], after: Sight) -> int:
    """Return how often a stage was begun again after it had been seen done."""
    at_first: dict[Stage, int] = {}
    for before in sights:
        for stage in before.done - at_first.keys():
            at_first[stage] = before.begun.get(stage, 0)
    return sum(after.begun.get(stage, 0) - begun for stage, begun in at_first.items())


def verdicts_contradicted(folder: Path, now: Sight) -> int:
    """Return how many verdicts undo an earlier `stop` or `continue`; one more if replay differs."""
    said: dict[str, str] = {}
    undone = 0
    for event in now.events:
        if event.kind == "verdict":
            action = event.payload["action"]
            undone += said.get(event.trial_id, action) != action
            if action != "hold":
                said[event.trial_id] = action
    return undone + (verify_study(locate(folder)).difference is not None)


def _name(trial_id: str, stage: str, step: int) -> Stage:
    return trial_id, stage, 0 if stage == "trained" else step


def _journal(path: Path) -> list[dict[str, Any]]:
    """Return a journal's whole lines; the last may be torn."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]
