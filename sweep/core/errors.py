"""Errors that a user can cause, as sentences.

A `UserError` says what was given, what is allowed and what to type next. The command line
prints it and exits with its `exit_code`. Every other exception is a defect of ours or of a
trial, and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import traceback
from collections.abc import Iterable
from pathlib import Path

from sweep.core.events import TrialEvent


class SweepError(Exception):
    """Base of every error that this package raises on purpose."""


class UserError(SweepError):
    """A wrong call, config, path or query: one sentence, exit code 2."""

    exit_code = 2


class ConfigError(UserError):
    """A config that cannot be read, or whose values cannot work together."""


class DataError(UserError):
    """Images that are missing, unreadable, too few, or without the labels a probe needs."""


class StudyError(UserError):
    """A study that exists already, does not exist, cannot be read, or has another driver."""


class StudyExists(StudyError):
    """A new study whose name is taken by another one."""


class StudyDriven(StudyError):
    """A study that another process drives."""


class StoreError(UserError, OSError):
    """An object store that cannot be reached, or that refuses a request.

    Args:
        place: address that was read or written.
        reason: the store's message.
    """

    def __init__(self, place: object, reason: str) -> None:
        super().__init__(errno.EIO, reason)
        self.place = place

    def __str__(self) -> str:
        return (
            f"{self.place} cannot be used: {(self.strerror or '').rstrip('.')}. Set the store's "
            "address and your keys with AWS_ENDPOINT_URL, AWS_PROFILE, AWS_ACCESS_KEY_ID and so on."
        )


class DamagedLog(StudyError):
    """A log with a damaged event; the events before it can be read."""


class OtherFormat(StudyError):
    """A log whose events are in a format that this version of sweep does not read."""


class StudyWarning(UserWarning):
    """Something about a study that its reader should know; the answer is usable without it."""


class Resumable(StudyError):
    """A study that was interrupted, for example by a full disk; `sweep resume` continues it."""

    exit_code = 75


class QueryError(UserError):
    """SQL that is not one SELECT over a study, or that ran out of memory or time."""


def unknown_name(kind: str, given: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name: the nearest known name, and all known names."""
    names = sorted(known)
    return f"{kind} {given!r} is not known.{nearest(given, names)} Known: {', '.join(names)}."


def nearest(given: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?", or "" where no known name is similar."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown_trial(event: TrialEvent) -> str:
    """Return the sentence for an event about a trial that no earlier event added."""
    return (
        f"Event {event.seq} ({event.kind}) is about trial {event.trial_id!r}, which no candidate "
        "event names: the log is damaged; restore it from a copy."
    )


def in_a_line(error: Exception) -> str:
    """Return an error in one line, with the place where it was raised."""
    *_, last = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
