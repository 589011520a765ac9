"""An event as one line of JSON."""

from __future__ import annotations

import json

from sweep.core.errors import StudyError
from sweep.core.records import Event
from sweep.log.validate import admitted

FORMAT = 1
"""Of the events; the first event of each session says which format its driver wrote."""


def encode(event: Event) -> bytes:
    """Return the event's line, in ASCII: other encodings have more than one line end."""
    fields = {
        "seq": event.seq,
        "time": event.time,
        "kind": event.kind,
        "trial_id": event.trial_id,
        "attempt": event.attempt,
        "payload": event.payload,
    }
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Event:
    """Return the event of a line; raise `ValueError` if the line is not a valid event.

    Raises:
        StudyError: a newer sweep wrote it, in another format.
    """
    try:
        fields = json.loads(line)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    payload = fields.get("payload") if isinstance(fields, dict) else None
    if isinstance(payload, dict) and fields.get("kind") in ("study", "session"):
        written = payload.get("format", 1)
        if not isinstance(written, int) or written > FORMAT:
            raise StudyError(
                f"This study was written by a newer sweep: its events are in format {written}, "
                f"and this one reads {FORMAT}. Install a newer sweep to read it."
            )
    try:
        event = Event(**fields)
    except TypeError as error:  # JSON, but not an event's fields
        raise ValueError(str(error)) from error
    return admitted(event, line)
