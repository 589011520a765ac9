"""What goes wrong by the user's hand, as sentences.

A `UserError` says what was given, what is allowed and what to type next; the
command line prints it and exits with its `exit_code`. Everything that is not a
`UserError` is a defect of ours or of a trial, and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

from sweep.core.records import Event


class SweepError(Exception):
    """Base of every error that this package raises on purpose."""


class UserError(SweepError):
    """A wrong call, config, path or query: one sentence, exit code 2."""

    exit_code = 2


class ConfigError(UserError):
    """A config that cannot be read, or that asks for the impossible."""


class DataError(UserError):
    """Images that are missing, unreadable, too few, or without the labels a probe needs."""


class StudyError(UserError):
    """A study that exists already, does not exist, or is held by another driver."""


class StoreError(UserError, OSError):
    """An object store that cannot be reached, or that refuses; what a disk's `OSError` is.

    Args:
        place: what was asked for.
        reason: the store's own words.
    """

    def __init__(self, place: object, reason: str) -> None:
        super().__init__(errno.EIO, reason)
        self.place = place

    def __str__(self) -> str:
        return (
            f"{self.place} cannot be used: {(self.strerror or '').rstrip('.')}. Where the store is "
            "and who asks is told by AWS_ENDPOINT_URL, AWS_PROFILE, AWS_ACCESS_KEY_ID and the like."
        )


class DamagedLog(StudyError):
    """A log that is whole up to some event, and not behind it."""


class StudyWarning(UserWarning):
    """What a study's reader should know, and can do without."""


class Resumable(StudyError):
    """A study that ended before its time, by no fault of its own; `sweep resume` goes on."""

    exit_code = 75


class QueryError(UserError):
    """SQL that is not one SELECT over the study, or that ran out of memory or time."""


def unknown_name(kind: str, given: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not in a table, with the nearest one that is."""
    names = sorted(known)
    return f"{kind} {given!r} is not known.{nearest(given, names)} Known: {', '.join(names)}."


def nearest(given: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?", or nothing where no name is like the one that was given."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown_trial(event: Event) -> str:
    """Return the sentence for an event about a trial that no event before it names."""
    return (
        f"Event {event.seq} ({event.kind}) is about trial {event.trial_id!r}, which no candidate "
        "event names: the log is damaged; restore it from a copy."
    )
