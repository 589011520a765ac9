"""What happened to trials, in words, and what the rule knew of the others at each event. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sweep.core.events import (
    CandidateAdded,
    Decided,
    EncoderDropped,
    Event,
    Observed,
    Suggested,
    TrialFailed,
    TrialStarted,
    ZoneMoved,
    trial_of,
)
from sweep.core.records import Zone, maximised


def why(events: Iterable[Event]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the trial and one row for each event about it, but for progress during pretraining.

    A row has seq, time (seconds since the epoch), event, what (measures, or a verdict's reason),
    known (models probed so far), best (`probe.metric` of the best of these) and
    zone.
    """
    zone = Zone()
    probed: dict[str, float] = {}
    best: float | None = None
    for event in events:
        if isinstance(event, ZoneMoved):
            zone = event.zone
        if (value := _final_metric(event)) is not None and trial_of(event) not in probed:
            probed[trial_of(event)] = value
            best = value if best is None else max(best, value)
        about = event.begin if isinstance(event, Suggested) else trial_of(event)
        if about and (words := _words(event)) is not None:
            yield (
                about,
                {
                    "seq": event.seq,
                    "time": event.time,
                    "event": words[0],
                    "what": words[1],
                    "known": len(probed),
                    "best": best,
                    "zone": str(zone),
                },
            )


def _final_metric(event: Event) -> float | None:
    if not isinstance(event, Observed):
        return None
    observation = event.observation
    if observation.stage != "probed" or not observation.final:
        return None
    measure = observation.measure("accuracy")
    if measure is None or (found := maximised(measure)) is None:
        return measure.value if measure else None
    return found[0]


def _words(event: Event) -> tuple[str, str] | None:
    """Return an event's name and content in words, None for progress during pretraining."""
    match event:
        case CandidateAdded(point=point):
            return "candidate", "  ".join(f"{name}={value}" for name, value in point.items())
        case TrialStarted():
            return "start", f"attempt {event.attempt}"
        case Observed(observation=observation) if observation.stage != "pretrain":
            numbers = [
                f"{m.name} {m.value:.4g}" if m.value is not None else f"{m.name} is {m.status}"
                for m in observation.measures
            ]
            at = "" if observation.final else f" at {observation.fraction:.0%}"
            return observation.stage + at, ", ".join(numbers)
        case Decided():
            return event.action, event.reason
        case Suggested():
            return "begin", event.reason
        case TrialFailed(failure=failure):
            return "failure", f"{failure.cause}: {failure.error}"
        case EncoderDropped():
            return "dropped", "its encoder was removed from disk"
    return None
