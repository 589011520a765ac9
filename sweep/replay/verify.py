"""Does the rule decide again what a study's log holds? Each verdict is made again and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep import rules
from sweep.config.study import StudyConfig
from sweep.core.errors import StudyError
from sweep.core.events import (
    Decided,
    Event,
    Idled,
    Observed,
    SessionBegan,
    StudyBegan,
    Suggested,
    TrialFailed,
    TrialStarted,
    ZoneMoved,
    trial_of,
)
from sweep.core.plugins import importable
from sweep.log import prior_copy
from sweep.log.log import MemoryLog
from sweep.log.study_folder import read_log
from sweep.replay.simulate import Clock
from sweep.rules import Rule
from sweep.storage.location import Location
from sweep.study import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The result of `verify`.

    Args:
        verdicts: how many were reproduced, moves of the zone among them.
        difference: the first verdict that differs, in a sentence; None if none differs.
    """

    verdicts: int
    difference: str | None


def verify(events: Sequence[Event], rule: Rule, config: StudyConfig) -> Verified:
    """Feed a study's recorded events to its rule, and compare the rule's verdicts with the log.

    Where a session begins, the study is built again from the log so far, as in a resume.

    Args:
        events: of the whole log.
        rule: of the study.
        config: as the study began: its budget, retries and price.
    """
    made: list[Event] = []
    clock = Clock()
    study: Study | None = None
    verdicts = 0
    for event in events:
        if isinstance(event, Decided | ZoneMoved):
            verdicts += 1
            if event.seq >= len(made):
                return Verified(verdicts=verdicts - 1, difference=_differs(event, None))
            if not _same(made[event.seq], event):
                return Verified(verdicts=verdicts - 1, difference=_differs(event, made[event.seq]))
            continue
        if isinstance(event, SessionBegan) or study is None:
            made = list(events[: event.seq])
            log = _Remembering(made)
            study = Study(
                rule=rule,
                log=log,
                budget=config.budget,
                workers=event.workers if isinstance(event, SessionBegan) else 1,
                retries=config.resources.retries,
                price_per_device_hour=config.resources.price_per_device_hour,
                clock=clock,
            )
        elif len(made) > event.seq:
            return Verified(verdicts=verdicts, difference=_differs(event, made[event.seq]))
        clock.now = event.time
        match event:
            case TrialStarted():
                study.start(event.trial_id, worker=event.worker, log=event.log)
            case Idled():
                study.idle()
            case Suggested():
                study.next()
                verdicts += 1
                if event.seq >= len(made) or not _same(made[event.seq], event):
                    other = made[event.seq] if event.seq < len(made) else None
                    return Verified(verdicts=verdicts - 1, difference=_differs(event, other))
            case _:
                study.record(event)
                if isinstance(event, TrialFailed) or (
                    isinstance(event, Observed) and study.action(event.trial_id) != "continue"
                ):
                    study.working.discard(event.trial_id)
    return Verified(verdicts=verdicts, difference=None)


class _Remembering(MemoryLog):
    """A log that appends to the list it is given."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self._events = events


def _same(first: Event, second: Event) -> bool:
    """Return whether two events decide the same; reasons may differ, in a last digit."""
    match first, second:
        case Decided(), Decided():
            return (first.trial_id, first.action) == (second.trial_id, second.action)
        case Suggested(), Suggested():
            return first.begin == second.begin
        case ZoneMoved(zone=a), ZoneMoved(zone=b):
            return a.through == b.through and _near(a.lo, b.lo) and _near(a.hi, b.hi)
    return False


def _near(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(np.isclose(first, second, rtol=1e-9, atol=1e-12))


def _differs(recorded: Event, made: Event | None) -> str:
    sentence = f"event {recorded.seq} of the log is {_words(recorded)}"
    if made is None:
        return f"{sentence}, and the rule says nothing there"
    return f"{sentence}, and the rule says {_words(made)}"


def _words(event: Event) -> str:
    match event:
        case Decided():
            return f"the verdict {event.action} of {event.trial_id} ({event.reason})"
        case Suggested():
            chosen = f"trial {event.begin} to begin" if event.begin else "a worker to idle"
            return f"{chosen} ({event.reason or event.idle})"
        case ZoneMoved():
            return f"the zone [{event.zone.lo}, {event.zone.hi}]"
    return f"{event.kind} of {trial_of(event) or 'the study'}"


def verify_study(folder: Location) -> Verified:
    """Return whether the rule in a study's config decides again what the study's log holds.

    Raises:
        StudyError: there is no study, or the copy of its prior is missing or changed.
    """
    events = read_log(folder)
    if not events or not isinstance(events[0], StudyBegan):
        raise StudyError(f"The log in {folder} has no study: there is nothing to verify.")
    importable(events[0].path)
    config = StudyConfig.parse(dict(events[0].config), source=f"The config in the log of {folder}")
    sources = prior_copy.read(folder, events[0])
    rule = rules.bind(config.rule, seed=config.seed, sources=sources).make()
    return verify(events, rule, config)
