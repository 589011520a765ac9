"""A study's log on an object store: an object for each event, put there unless one is there.

The log is the folder `events.jsonl/`, and an event the object `0000000123.json` in it, whose PUT
has a condition: nothing may be there. So of two drivers that go on with one study, one fails at its
next event, however long it was asleep. For that, no event's object is ever removed.

That a log of 100,000 events opens without 100,000 GETs, every `SEGMENT` events the driver puts
them once more, as one object in `segments/`. A segment is derived: where one is missing or
damaged, the events' own objects are read. As nothing is removed, a reader cannot race with
this. The place of an event, which a log on a disk counts in bytes, is its number here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sweep.core.errors import DamagedLog, Resumable, StudyError
from sweep.core.records import Event
from sweep.log.file_log import EVENTS, check_seq, decode, encode, refused
from sweep.storage import disk as files
from sweep.storage.disk import Place
from sweep.storage.lease import ObjectLease

SEGMENT = 250
SEGMENTS = "segments"
AT_ONCE = 16
"""GETs under way at the same time."""


class ObjectLog:
    """The log of a study on an object store, open for appending by the driver with its lease.

    Opening reads the whole log once: a study whose log is damaged is not gone on with.

    Args:
        folder: the study's.

    Attributes:
        seq: of the last event; -1 before the first.

    Raises:
        StudyError: another driver holds the study, or an event is damaged.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self.path = folder / EVENTS
        self.seq = -1
        self._recent: list[bytes] = []  # since the last whole segment
        self._lease = ObjectLease(folder)
        self._open = True
        try:
            there, tail = _extent(self.path, 0)
            if there or tail:
                for event, _ in scan(self.path):
                    self._keep(event, encode(event), there)
        except BaseException:
            self.close()
            raise

    @property
    def offset(self) -> int:
        """The place behind the last event."""
        return self.seq + 1

    def append(self, event: Event) -> None:
        """Put one event into the store.

        Raises:
            ValueError: its `seq` does not follow the last, it holds NaN or what is no
                JSON, or the log is closed; nothing was written.
            Resumable: the store refused, or another driver went on with the study. Whether
                the event is there is then unknown, so the log takes no more; opening it
                again finds out.
        """
        if not self._open:
            raise ValueError(f"the log {self.path} is closed")
        check_seq(event, self.seq + 1)
        line = encode(event)
        try:
            self._lease.check()
            ours = files.create(self.path / _name(event.seq), line)
            if not ours:
                raise Resumable(
                    f"Another driver goes on with {self.folder}: event {event.seq} of its log is "
                    f"not this one's. All that the log holds is kept; `sweep resume {self.folder}` "
                    "goes on when that one ends."
                )
        except OSError as error:
            self.close()
            raise refused(self.path, error, self.folder) from error
        except BaseException:  # a signal's exception, somewhere on the way, is among these
            self.close()
            raise
        self._keep(event, line, set())

    def read(self) -> Iterator[Event]:
        """Yield every event from the first on."""
        return (event for event, _ in self.since(0, 0))

    def since(self, offset: int, seq: int) -> Iterator[tuple[Event, int]]:
        """Yield the events from a place on, each with the place behind it."""
        kept = self.seq + 1 - len(self._recent)
        if offset == seq >= kept:
            lines = self._recent[seq - kept :]
            return ((decode(line), at) for at, line in enumerate(lines, start=seq + 1))
        return scan(self.path, offset=offset, seq=seq)

    def close(self) -> None:
        """Take no more, and let go of the study."""
        self._open = False
        self._lease.release()

    def __enter__(self) -> ObjectLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, event: Event, line: bytes, there: set[int]) -> None:
        """Remember an event that is in the store; with it, a segment may be whole."""
        self.seq = event.seq
        self._recent.append(line)
        if len(self._recent) == SEGMENT:
            number = self.seq // SEGMENT
            if number not in there:
                with suppress(OSError):  # derived: it is tried again when the log is opened
                    files.write(self.path / SEGMENTS / _segment(number), b"".join(self._recent))
            self._recent = []


def exists(path: Place) -> bool:
    """Return whether a log has an event."""
    return bool(files.names(path, most=1))


def end(path: Place) -> int:
    """Return the place behind a log's last event; raise `StudyError` where there is no log."""
    segments, tail = _extent(path, 0)
    if not segments and not tail:
        raise StudyError(f"There is no study at {path.parent}: it has no {path.name}.")
    return tail[-1] + 1 if tail else (max(segments) + 1) * SEGMENT


def scan(
    path: Place, *, offset: int = 0, seq: int = 0, end: int | None = None
) -> Iterator[tuple[Event, int]]:
    """Yield each event of a log with the place behind it, as `sweep.log.file_log.scan` does."""
    segments, tail = _extent(path, seq)
    if not segments and not tail and seq == 0:
        raise StudyError(f"There is no study at {path.parent}: it has no {path.name}.")
    behind = tail[-1] + 1 if tail else (max(segments) + 1) * SEGMENT if segments else seq
    if offset != seq or (seq == behind and not files.exists(path / _name(seq - 1))):
        raise StudyError(f"{path} has no event that begins at {offset}.")
    for event in _events(path, seq, behind if end is None else min(end, behind), segments):
        yield event, event.seq + 1


def _extent(path: Place, first: int) -> tuple[set[int], list[int]]:
    """Return the segments there are from event `first` on, and the events behind the last of them.

    Segments are listed first, so that events which become one meanwhile are listed, too.
    """
    before = _segment(first // SEGMENT - 1) if first >= SEGMENT else ""
    names = files.names(path / SEGMENTS, after=before)
    segments = {int(name[:8]) for name in names if re.fullmatch(r"\d{8}\.jsonl", name)}
    behind = max(first, (max(segments) + 1) * SEGMENT if segments else 0)
    names = files.names(path, after=_name(behind - 1) if behind else "")
    return segments, [int(name[:10]) for name in names if re.fullmatch(r"\d{10}\.json", name)]


def _events(path: Place, first: int, end: int, segments: set[int]) -> Iterator[Event]:
    """Yield the events from `first` up to `end`, from segments where there are any."""
    jobs: list[range] = []
    while first < end:
        number = first // SEGMENT
        upto = min(end, (number + 1) * SEGMENT)
        jobs += [range(first, upto)] if number in segments else _singly(range(first, upto))
        first = upto
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(jobs), 4 * AT_ONCE):
            some = jobs[start : start + 4 * AT_ONCE]
            for job, found in zip(some, pool.map(lambda job: _fetch(path, job), some), strict=True):
                if found is None:  # a segment that is none
                    found = [_one(path, seq) for seq in job]
                yield from found


def _singly(seqs: range) -> list[range]:
    return [range(seq, seq + 1) for seq in seqs]


def _fetch(path: Place, seqs: range) -> Sequence[Event] | None:
    """Return some events of one segment, or one event; None where the segment is damaged."""
    if len(seqs) == 1:
        return [_one(path, seqs[0])]
    number = seqs[0] // SEGMENT
    try:
        lines = files.read(path / SEGMENTS / _segment(number)).splitlines()
        if len(lines) != SEGMENT:
            return None
        found = [decode(lines[seq % SEGMENT]) for seq in seqs]
        for event, seq in zip(found, seqs, strict=True):
            check_seq(event, seq)
    except (ValueError, FileNotFoundError):
        return None
    return found


def _one(path: Place, seq: int) -> Event:
    try:
        event = decode(files.read(path / _name(seq)))
        check_seq(event, seq)
    except (ValueError, FileNotFoundError) as error:
        why = "it is missing" if isinstance(error, FileNotFoundError) else error
        raise DamagedLog(
            f"{path} is damaged at event {seq}: {why}. What stands before it is whole; restore "
            f"{_name(seq)} from a copy."
        ) from error
    return event


def _name(seq: int) -> str:
    return f"{seq:010}.json"


def _segment(number: int) -> str:
    return f"{number:08}.jsonl"
