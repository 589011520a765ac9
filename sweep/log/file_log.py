"""Where a study lies, and its log: one line per event, the only truth.

`events.jsonl` is appended to by one driver, which holds the study's lease, and is never
rewritten. An event is in the log once `append` has returned: its line, newline included,
is on the disk. Whatever else lies in the folder is derived from the log (`sweep.tables.snapshots`)
or belongs to the trials' workers. On an object store the log is a folder of that name
(`sweep.log.s3_log`); which of the two it is, is told here. Folding events into rows is left to
others.
"""

from __future__ import annotations

import errno
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from sweep.core.errors import (
    DamagedLog,
    Resumable,
    StudyError,
    StudyWarning,
    UserError,
    unknown_name,
)
from sweep.core.limits import NAME
from sweep.core.records import Event
from sweep.log.validate import admitted
from sweep.storage import disk as files
from sweep.storage.disk import Place
from sweep.storage.lease import DRIVER, LOCK, FileLease
from sweep.storage.symlinks import is_link, refuse_links

EVENTS = "events.jsonl"
FORMAT = 1
"""Of the events; the first event of each session tells which its driver wrote."""


class Log(Protocol):
    """Where a study's events go, and come from when it is taken up again."""

    def append(self, event: Event) -> None:
        """Keep one event, whose `seq` follows the last; it is kept when this returns."""

    def read(self) -> Iterable[Event]:
        """Return every event from the first on."""


class StudyLog(Log, Protocol):
    """The log of a study that lies somewhere, held by its one driver.

    Attributes:
        folder: the study's.
        seq: of the last event; -1 before the first.
        offset: the place behind that event, which only a log of the same kind understands.
    """

    folder: Place
    seq: int

    @property
    def offset(self) -> int: ...

    def since(self, offset: int, seq: int) -> Iterator[tuple[Event, int]]:
        """Yield the events from a place on, each with the place behind it."""

    def close(self) -> None:
        """Take no more, and let go of the study."""

    def __enter__(self) -> StudyLog: ...

    def __exit__(self, *_: object) -> None: ...


def open_log(folder: Place) -> StudyLog:
    """Return the log of a study, open for appending by this process alone.

    Raises:
        StudyError: another driver holds the study, or its log is damaged.
    """
    if isinstance(folder, Path):
        return EventLog(folder)
    from sweep.log.s3_log import ObjectLog

    return ObjectLog(folder)


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


class EventLog:
    """The log of a study on disk, open for appending by the one driver that holds its lease.

    Opening reads the whole log once: a study whose log is damaged is not gone on with. A
    torn last line, which nobody was told of, is cut off, so that nothing is glued to it.

    Args:
        folder: the study's, which must exist.

    Attributes:
        seq: of the last event; -1 before the first.
        offset: bytes up to the end of that event.

    Raises:
        StudyError: another driver holds the study, a line is damaged, or a link leads out of it.
    """

    def __init__(self, folder: Path) -> None:
        refuse_links(folder)
        self.folder: Place = folder
        self.path = folder / EVENTS
        self._lease = FileLease(folder)
        self._open = True
        try:
            files.tidy(folder)
            files.create(self.path, b"")
            self.seq, self._offset = -1, 0
            for event, offset in scan(self.path):
                self.seq, self._offset = event.seq, offset
            files.cut(self.path, self._offset)
        except BaseException:
            self.close()
            raise

    @property
    def offset(self) -> int:
        """Bytes up to the end of the last event."""
        return self._offset

    def append(self, event: Event) -> None:
        """Put one event on the disk.

        Raises:
            ValueError: its `seq` does not follow the last, it holds NaN or what is no
                JSON, or the log is closed; nothing was written.
            Resumable: the disk refused. What the last line holds is then unknown, so the
                log takes no more; opening it again finds out.
        """
        if not self._open:
            raise ValueError(f"the log {self.path} is closed")
        check_seq(event, self.seq + 1)
        line = encode(event)
        try:
            files.append(self.path, line, at=self.offset)
        except OSError as error:
            self.close()
            raise refused(self.path, error, self.folder) from error
        except BaseException:  # a signal's exception, somewhere on the way
            self.close()
            raise
        self.seq, self._offset = event.seq, self._offset + len(line)

    def read(self) -> Iterator[Event]:
        """Yield every event from the first on."""
        return (event for event, _ in scan(self.path))

    def since(self, offset: int, seq: int) -> Iterator[tuple[Event, int]]:
        """Yield the events from a byte on, each with the offset of the byte behind it."""
        return scan(self.path, offset=offset, seq=seq)

    def close(self) -> None:
        """Take no more, and let go of the study."""
        self._open = False
        self._lease.release()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode(event: Event) -> bytes:
    """Return the event's line; ASCII, so that no reader takes another line end for ours."""
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
    """Return the event of a line; raise `ValueError` where there is none to believe.

    Raises:
        StudyError: it is in a format of tomorrow.
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


def scan(
    path: Place, *, offset: int = 0, seq: int = 0, end: int | None = None
) -> Iterator[tuple[Event, int]]:
    """Yield each event of a log with the place behind it: of the byte there on a disk.

    What stands last and is no whole line was torn by a crash, or is being written now: it
    is left out. Anywhere else it is damage.

    Args:
        path: the log.
        offset: where to begin: 0, or a place that an earlier scan gave.
        seq: of the event there.
        end: read as if the log ended at this place.

    Raises:
        DamagedLog: a line is damaged.
        StudyError: there is no log, no line begins at `offset`, or a newer sweep wrote it.
    """
    if isinstance(path, Path):
        return _scan(path, offset, seq, end)
    from sweep.log import s3_log

    return s3_log.scan(path, offset=offset, seq=seq, end=end)


def end(path: Place) -> int:
    """Return the place behind what a log holds; raise `StudyError` where there is no log."""
    if not isinstance(path, Path):
        from sweep.log import s3_log

        return s3_log.end(path)
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise StudyError(f"There is no study at {path.parent}: it has no {path.name}.") from None


def _scan(path: Path, offset: int, seq: int, end: int | None) -> Iterator[tuple[Event, int]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise StudyError(f"There is no study at {path.parent}: it has no {path.name}.") from None
    with file:
        end = os.fstat(file.fileno()).st_size if end is None else end
        file.seek(max(0, offset - 1))
        if offset and file.read(1) != b"\n":
            raise StudyError(f"{path} has no line that begins at byte {offset}.")
        for line in file:
            offset += len(line)
            if offset > end or not line.endswith(b"\n"):
                return
            try:
                event = decode(line)
                check_seq(event, seq)
            except ValueError as error:
                # A crash of the machine may leave the last line's newline without its text.
                if offset == end and not _is_json(line):
                    return
                raise DamagedLog(
                    f"{path} is damaged at line {seq + 1}: {error}. What stands before it is "
                    "whole; restore the file from a copy."
                ) from error
            yield event, offset
            seq += 1


def read(path: Place, *, offset: int = 0, seq: int = 0) -> tuple[list[Event], int]:
    """Return the events from `offset` on, and the offset behind them; see `scan`."""
    events = []
    for event, behind in scan(path, offset=offset, seq=seq):
        events.append(event)
        offset = behind
    return events, offset


def last(path: Place) -> Event | None:
    """Return the last event of a log, without making events of all before it.

    None says that this is not known so: there is no event, the end is torn, or a line is none of
    `encode`'s by its number and its last letter, which takes a thirtieth of reading all as JSON.

    Raises:
        StudyError: there is no log, or a newer sweep wrote it.
    """
    behind = end(path)
    if not isinstance(path, Path):
        return next((event for event, _ in scan(path, offset=behind - 1, seq=behind - 1)), None)
    *lines, torn = path.read_bytes().split(b"\n")
    whole = all(
        line.startswith(b'{"seq":%d,' % seq) and line.endswith(b"}")
        for seq, line in enumerate(lines)
    )
    if torn or not lines or not whole:
        return None
    try:
        return decode(lines[-1])
    except ValueError:
        return None


def salvage(path: Place, *, end: int | None = None) -> Iterator[tuple[Event, int]]:
    """Yield as `scan` does, and stop with a warning where damage begins."""
    try:
        yield from scan(path, end=end)
    except DamagedLog as error:
        warnings.warn(str(error), StudyWarning, stacklevel=2)


def check_seq(event: Event, expected: int) -> None:
    if event.seq != expected:
        raise ValueError(f"event {event.seq} stands where event {expected} is due")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


# Where studies lie -------------------------------------------------------------------


def create(results: Place, name: str) -> Place:
    """Make the folder of a new study and return it.

    A folder in which a driver died before its first event is taken over.

    Raises:
        UserError: `results` is not writable.
        StudyError: the name is no file name, or is taken.
    """
    folder = check_vacant(results, name)
    check_writable(results)
    files.make(folder)
    return folder


def check_vacant(results: Place, name: str) -> Place:
    """Return where a new study of that name would lie; raise `StudyError` if it cannot."""
    if not NAME.fullmatch(name):
        raise StudyError(
            f"A study cannot be named {name!r}: letters, digits, '.', '_' and '-', "
            "at most 100 of them, a letter or digit first."
        )
    folder = results / name
    if isinstance(folder, Path):
        if not os.path.lexists(folder):
            return folder
        if is_link(folder):
            raise StudyError(
                f"{folder} is a link to {folder.readlink()}: a study is made in a folder of its "
                "own. Choose another name=NAME, or --results DIR."
            )
        if not folder.is_dir():
            raise StudyError(
                f"{folder} is there already and is no folder. Choose another name=NAME."
            )
    if next(scan(folder / EVENTS), None) if is_study(folder) else None:
        raise StudyError(
            f"The study {folder} exists already. `sweep resume {folder}` goes on with it; "
            "name=NAME begins another."
        )
    if others := set(files.names(folder)) - {EVENTS, LOCK, DRIVER}:
        raise StudyError(
            f"{folder} is no study but holds {min(others)!r}. Choose another name=NAME."
        )
    return folder


def find(results: Place, study: str) -> Place:
    """Return the folder of a study, given its name under `results` or a path.

    Raises:
        StudyError: there is none; the sentence lists those there are.
    """
    named = study.rstrip("/")
    if NAME.fullmatch(named) and is_study(results / named):
        return results / named
    if study and is_study(place := files.place(study)):
        return place
    names = [folder.name for folder in listing(results)]
    if not names:
        raise StudyError(
            f"There is no study {study!r}, and none at all in {results}. "
            "`sweep run experiments/quickstart.toml` makes one; --results DIR looks elsewhere."
        )
    raise StudyError(unknown_name("The study", study, names) + f" They lie in {results}.")


def listing(results: Place) -> list[Place]:
    """Return the folders of all studies under `results`, by name."""
    return [results / name for name in files.names(results) if is_study(results / name)]


def check_writable(results: Place) -> None:
    """Make the folder if need be and try to write into it; raise `UserError` if that fails."""
    try:
        files.check(results)
    except OSError as error:
        raise UserError(
            f"Results cannot be written to {results}: {error.strerror or error}. "
            "Name another folder with --results DIR."
        ) from error


def is_study(folder: Place) -> bool:
    """Return whether a folder holds a study's log."""
    if isinstance(folder, Path):
        return files.exists(folder / EVENTS)
    from sweep.log import s3_log

    return s3_log.exists(folder / EVENTS)


def refused(place: Place, error: OSError, folder: Place) -> Resumable:
    """Return the sentence for a driver whose storage takes no more."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "Free some space there" if full else "Put that right"
    why = error.strerror or error
    return Resumable(f"{place} cannot be written: {why}. {cure}, then `sweep resume {folder}`.")
