"""What every log can do, and the log that lives in memory.

A study's log is the only truth: one event after another, appended by one driver and never
rewritten. Everything else in a study's folder is derived from the log (`sweep.tables.snapshots`)
or belongs to the workers of its trials.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterable, Iterator
from typing import Protocol

from sweep.core.errors import DamagedLog, Resumable, StudyError, StudyWarning
from sweep.core.events import Event
from sweep.storage.location import Location


class Log(Protocol):
    """Where a study's events go, and where they come from when it is resumed."""

    def append(self, event: Event) -> None:
        """Keep one event, whose `seq` follows the last; it is kept when this returns."""

    def read(self) -> Iterable[Event]:
        """Return every event from the first on."""


class StudyLog(Log, Protocol):
    """The log of a study in a folder, held by its one driver.

    Attributes:
        folder: the study's.
        seq: of the last event; -1 before the first.
        offset: the position after that event; only a log of the same kind understands it.
    """

    @property
    def folder(self) -> Location: ...

    @property
    def seq(self) -> int: ...

    @property
    def offset(self) -> int: ...

    def since(self, offset: int, seq: int) -> Iterator[tuple[Event, int]]:
        """Yield the events from a position on, each with the position after it."""

    def close(self) -> None:
        """Take no more events, and let another process drive the study."""

    def __enter__(self) -> StudyLog: ...

    def __exit__(self, *_: object) -> None: ...


class LogReader(Protocol):
    """Reads the log of a study, which another process may be writing.

    Attributes:
        path: of the log.
    """

    @property
    def path(self) -> Location: ...

    def exists(self) -> bool:
        """Return whether there is a log."""

    def end(self) -> int:
        """Return the position after the last event; raise `StudyError` if there is no log."""

    def scan(
        self, *, offset: int = 0, seq: int = 0, end: int | None = None
    ) -> Iterator[tuple[Event, int]]:
        """Yield each event with the position after it: in bytes on a disk, else in events.

        A line at the end that is not whole was torn by a crash or is being written now,
        and is left out. Anywhere else such a line is damage.

        Args:
            offset: where to begin: 0, or a position from an earlier scan.
            seq: of the event there.
            end: read as if the log ended at this position.

        Raises:
            DamagedLog: an event is damaged.
            StudyError: there is no log, no event begins at `offset`, or a newer sweep wrote it.
        """

    def last(self) -> Event | None:
        """Return the last event without decoding all events before it.

        None if there is no event, or if the log does not look whole: then `scan` has the answer.

        Raises:
            StudyError: there is no log, or a newer sweep wrote it.
        """


class MemoryLog:
    """A log that lives as long as its process: for replays and users' own schedulers."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events: list[Event] = []
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        """Keep one event; raise `ValueError` unless its `seq` follows the last."""
        check_seq(event, len(self._events))
        self._events.append(event)

    def read(self) -> list[Event]:
        """Return every event from the first on."""
        return list(self._events)


def salvage(log: LogReader, *, end: int | None = None) -> Iterator[tuple[Event, int]]:
    """Yield events as `LogReader.scan` does; where damage begins, warn and stop."""
    try:
        yield from log.scan(end=end)
    except DamagedLog as error:
        warnings.warn(str(error), StudyWarning, stacklevel=2)


def check_seq(event: Event, expected: int) -> None:
    """Raise `ValueError` unless the event has the expected number."""
    if event.seq != expected:
        raise ValueError(f"event {event.seq} stands where event {expected} is due")


def no_log(path: Location) -> StudyError:
    """Return the error for a folder without a log."""
    return StudyError(f"There is no study at {path.parent}: it has no {path.name}.")


def refused(path: Location, error: OSError, folder: Location) -> Resumable:
    """Return the error of a driver whose storage takes no more."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "Free some space there" if full else "Put that right"
    why = error.strerror or error
    return Resumable(f"{path} cannot be written: {why}. {cure}, then `sweep resume {folder}`.")
