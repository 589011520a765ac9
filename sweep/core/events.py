"""What the log of a study keeps: one frozen type for each kind of event.

`Event` is their union, tagged by `kind`. Handle an event with `match` and class patterns:

    match event:
        case Decided(action="stop"):
            ...

The study's one driver numbers the events: `seq` counts from 0 without gaps. Code that reports
something makes the event without `seq`, `time` and `attempt`, and `Study.record` fills these
in. `sweep.core.codec` writes events as lines of JSON and reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from sweep.core.failures import Failure
from sweep.core.limits import LARGEST, Count, EveryField, Name, Number, Seconds
from sweep.core.records import Action, Observation, Outcome, Zone

FORMAT = 3
"""Of the events; the log's first event and the first event of each session hold it."""

UNNUMBERED = -1
"""`seq` of an event that is not recorded yet; no line of a log can hold it."""


def _in_range(point: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a point unless one of its numbers is not finite, or too large to compute with."""
    for name, value in point.items():
        if type(value) in (int, float) and not -LARGEST < value < LARGEST:
            raise ValueError(f"{name} must be finite and below {LARGEST:g}")
    return point


def _with_budget(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a config unless something else stands where its budget should."""
    if not isinstance(config.get("budget", {}), dict):
        raise ValueError("its budget must be a table")
    return config


Tree = Mapping[str, Any]
"""A table of JSON, whose values may be anything."""
Point = Annotated[Tree, AfterValidator(_in_range)]
"""Name of each varied field -> its value: a number, a truth value, a text or any JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyEvent(EveryField):
    """What every event has.

    Args:
        seq: position in the log.
        time: seconds since the epoch, by the driver's clock.
        kind: names the type in a line of the log.
    """

    seq: Count = UNNUMBERED
    time: Seconds = 0.0
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEvent(StudyEvent):
    """What every event about one trial has.

    Args:
        trial_id: the trial.
        attempt: the trial's attempt, from 1; 0 before the first.
    """

    trial_id: Name
    attempt: Count = 0


# About the study ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyBegan(StudyEvent):
    """The first event of a log, written once.

    Args:
        format: of the events; see `FORMAT`.
        name: of the study.
        config: the whole config.
        config_digest: of the config.
        data_digest: of the images.
        path: folder of the plug-ins that the config names, or None.
        created: seconds since the epoch.
        commit: of the source of sweep, where it runs from a checkout.
        versions: of Python, sweep and the libraries that numbers depend on.
        chosen: what preflight chose where the config leaves it open, and on what grounds.
    """

    kind: Literal["study"] = "study"
    format: Count = FORMAT
    name: Name
    config: Tree
    config_digest: str
    data_digest: str
    path: str | None = None
    created: Number
    commit: str | None
    versions: Tree
    chosen: Tree = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionBegan(StudyEvent):
    """A driver began to work on the study: once for each run and resume.

    Args:
        format: of the events; see `FORMAT`.
        host, pid: of the driver.
        runner: `local` or `ray`.
        device: `cpu` or `cuda`.
        workers: M, trials at work at once.
    """

    kind: Literal["session"] = "session"
    format: Count = FORMAT
    host: str | None = None
    pid: Count | None = None
    runner: str | None = None
    device: str | None = None
    workers: Count = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ZoneMoved(StudyEvent):
    """The rule now looks in another interval of alpha.

    Args:
        zone: the interval.
        answers_seq: the last event that the rule had seen.
    """

    kind: Literal["zone"] = "zone"
    zone: Zone
    answers_seq: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggested(StudyEvent):
    """The rule's answer to a free worker, from a rule that chooses which candidate begins.

    Args:
        begin: the candidate that begins now; None where the worker idles.
        idle: why the worker does nothing until the next event; "" where a candidate begins.
        reason: why this candidate begins.
        answers_seq: the last event that the rule had seen.
    """

    kind: Literal["suggestion"] = "suggestion"
    begin: Name | None
    idle: str = ""
    reason: str = ""
    answers_seq: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Idled(StudyEvent):
    """Nothing runs and nothing may start, so trials that are held must be decided.

    Args:
        reason: why nothing may start.
    """

    kind: Literal["idle"] = "idle"
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetChanged(StudyEvent):
    """A resume changed the config: its budget, its resources or its space.

    Args:
        config: the whole config from now on.
    """

    kind: Literal["budget"] = "budget"
    config: Annotated[Tree, AfterValidator(_with_budget)]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFinished(StudyEvent):
    """The study is over.

    Args:
        outcome: the winner, and why the study ended.
        test_accuracy: the winner's on the test split, 0 to 1, where it was measured.
    """

    kind: Literal["finish"] = "finish"
    outcome: Outcome
    test_accuracy: Number | None = None


# About one trial ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateAdded(TrialEvent):
    """One point of the space waits to be tried.

    Args:
        point: the fields in which the candidates differ.
        config: the candidate's whole config.
        index: position in the order of the candidates, from 0.
    """

    kind: Literal["candidate"] = "candidate"
    point: Point
    config: Tree
    index: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStarted(TrialEvent):
    """A runner put the trial to work.

    Args:
        worker: that runs the trial, where the runner names it.
        log: path of the trial's log file, where the runner names it.
    """

    kind: Literal["start"] = "start"
    worker: str | None = None
    log: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed(TrialEvent):
    """The trial reached a stage.

    Args:
        observation: what the trial reported.
    """

    kind: Literal["observation"] = "observation"
    observation: Observation


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided(TrialEvent):
    """A verdict: what the trial is to do from now on.

    Args:
        action, reason, chance: as in `sweep.core.records.Verdict`.
        zone: in which the rule looked when it decided.
        answers_seq: the last event that the rule had seen.
    """

    kind: Literal["verdict"] = "verdict"
    action: Action
    reason: str
    chance: Number | None = None
    zone: Zone
    answers_seq: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderDropped(TrialEvent):
    """The trial's encoder is removed from the disk, as `resources.keep` says."""

    kind: Literal["dropped"] = "dropped"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialFailed(TrialEvent):
    """An attempt of the trial ended in an error.

    Args:
        failure: the error and its cause.
        final: True if the trial is not tried again.
    """

    kind: Literal["failure"] = "failure"
    failure: Failure
    final: bool


Event = Annotated[
    StudyBegan
    | SessionBegan
    | CandidateAdded
    | TrialStarted
    | Observed
    | Decided
    | ZoneMoved
    | Suggested
    | EncoderDropped
    | TrialFailed
    | Idled
    | BudgetChanged
    | StudyFinished,
    Field(discriminator="kind"),
]
"""Any event."""


def trial_of(event: Event) -> str:
    """Return the trial that an event is about, "" where it is about the study."""
    return event.trial_id if isinstance(event, TrialEvent) else ""
