"""Does the rule say again what a study's log holds? Every verdict is made anew and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep import rules
from sweep.config.models import StudyConfig
from sweep.core.errors import StudyError
from sweep.core.records import Event
from sweep.log.store import EVENTS, MemoryLog, read
from sweep.replay.simulate import Clock
from sweep.rules import Rule
from sweep.storage.files import Place
from sweep.study import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What `verify` found.

    Args:
        verdicts: reproduced, moves of the zone among them.
        difference: the first that differs, in a sentence; None if none does.
    """

    verdicts: int
    difference: str | None


def verify(events: Sequence[Event], rule: Rule, config: StudyConfig) -> Verified:
    """Feed a study's recorded events to its rule, and compare what it says with the log.

    Where a session begins, the study is built anew from the log so far, as a resume does.

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
        if event.kind in ("verdict", "zone"):
            verdicts += 1
            if event.seq >= len(made):
                return Verified(verdicts=verdicts - 1, difference=_differs(event, None))
            if not _same(made[event.seq], event):
                return Verified(verdicts=verdicts - 1, difference=_differs(event, made[event.seq]))
            continue
        if event.kind == "session" or study is None:
            made = list(events[: event.seq])
            log = _Remembering(made)
            study = Study(
                rule=rule,
                log=log,
                budget=config.budget,
                workers=int(event.payload.get("workers", 1)),
                retries=config.resources.retries,
                price_per_device_hour=config.resources.price_per_device_hour,
                clock=clock,
            )
        elif len(made) > event.seq:
            return Verified(verdicts=verdicts, difference=_differs(event, made[event.seq]))
        clock.now = event.time
        if event.kind == "start":
            study.start(event.trial_id, **event.payload)
        elif event.kind == "idle":
            study.idle()
        else:
            study.record(event.kind, event.payload, trial_id=event.trial_id)
            if event.kind == "failure":
                study.working.discard(event.trial_id)
    return Verified(verdicts=verdicts, difference=None)


class _Remembering(MemoryLog):
    """A log that begins with what it is given, and shares the list."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self._events = events


def _same(one: Event, other: Event) -> bool:
    """True if two events decide the same; a reason's last digit may differ between machines."""
    if (one.kind, one.trial_id) != (other.kind, other.trial_id):
        return False
    if any(one.payload.get(key) != other.payload.get(key) for key in ("action", "through")):
        return False
    return all(_near(one.payload.get(key), other.payload.get(key)) for key in ("lo", "hi"))


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12))


def _differs(recorded: Event, made: Event | None) -> str:
    said = f"event {recorded.seq} of the log is {_words(recorded)}"
    if made is None:
        return f"{said}, and the rule says nothing there"
    return f"{said}, and the rule says {_words(made)}"


def _words(event: Event) -> str:
    if event.kind == "verdict":
        action, reason = event.payload["action"], event.payload["reason"]
        return f"the verdict {action} of {event.trial_id} ({reason})"
    if event.kind == "zone":
        return f"the zone [{event.payload['lo']}, {event.payload['hi']}]"
    return f"{event.kind} of {event.trial_id or 'the study'}"


def verify_study(folder: Place) -> Verified:
    """Return whether the rule in a study's config says again what its log holds."""
    events, _ = read(folder / EVENTS)
    if not events or events[0].kind != "study":
        raise StudyError(f"{folder} holds a log that never began: there is nothing to verify.")
    said = events[0].payload["config"]
    config = StudyConfig.parse(said, source=f"The config in the log of {folder}")
    rule = rules.bind(config.rule, seed=config.seed).make()
    return verify(events, rule, config)
