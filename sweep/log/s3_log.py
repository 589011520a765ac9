"""A study's log on an object store: an object for each event, put only where there is none.

The log is the folder `events.jsonl/`. An event is the object `0000000123.json` in it, and its PUT
has a condition: there must be no such object. So of two drivers that go on with one study, one
fails at its next event, however long it slept. For the same reason no event's object is ever
removed.

A log of 100,000 events must open without 100,000 GETs. So after every `SEGMENT_EVENTS` events the
driver puts them once more, as one object in `segments/`. A segment is derived: if it is missing or
damaged, the events' own objects are read. As nothing is removed, a reader cannot race with
this. A position in this log is the number of an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from sweep.core.codec import decode, encode
from sweep.core.errors import DamagedLog, Resumable, StudyError
from sweep.core.events import Event
from sweep.log.log import check_seq, no_log, refused
from sweep.storage.lease import Lease
from sweep.storage.location import Location

SEGMENT_EVENTS = 250
SEGMENTS = "segments"
PARALLEL_GETS = 16
"""GETs under way at the same time."""


class S3Log:
    """The log of a study on an object store, open for appending by the driver with its lease.

    Opening reads the whole log once, so that no study with a damaged log is resumed.

    Args:
        path: of the log, in the folder of the study.
        lease: on the study; it is released when the log is closed, or cannot be opened.

    Attributes:
        folder: the study's.
        seq: of the last event; -1 before the first.

    Raises:
        StudyError: an event is damaged.
    """

    def __init__(self, path: Location, lease: Lease) -> None:
        self.path, self.folder = path, path.parent
        self.seq = -1
        self._recent: list[bytes] = []  # lines since the last whole segment
        self._reader, self._lease = S3LogReader(path), lease
        self._open = True
        try:
            segments, tail = _extent(path, 0)
            if segments or tail:
                for event, _ in self._reader.scan():
                    self._remember(event, encode(event), segments)
        except BaseException:
            self.close()
            raise

    @property
    def offset(self) -> int:
        """The position after the last event."""
        return self.seq + 1

    def append(self, event: Event) -> None:
        """Put one event into the store.

        Raises:
            ValueError: its `seq` does not follow the last, it holds NaN or a value that JSON
                does not have, or the log is closed; nothing was written.
            Resumable: the store refused, or another driver went on with the study. Whether
                the event is there is then unknown, so the log takes no more events; opening it
                again finds out.
        """
        if not self._open:
            raise ValueError(f"the log {self.path} is closed")
        check_seq(event, self.seq + 1)
        line = encode(event)
        try:
            self._lease.check()
            if not _event(self.path, event.seq).create(line):
                raise Resumable(
                    f"Another driver goes on with {self.folder}: event {event.seq} of the log is "
                    f"not this one's. Every event in the log is kept. `sweep resume {self.folder}` "
                    "goes on when the other driver ends."
                )
        except OSError as error:
            self.close()
            raise refused(self.path, error, self.folder) from error
        except BaseException:  # including what a signal's handler raised while it was written
            self.close()
            raise
        self._remember(event, line, set())

    def read(self) -> Iterator[Event]:
        """Yield every event from the first on."""
        return (event for event, _ in self.since(0, 0))

    def since(self, offset: int, seq: int) -> Iterator[tuple[Event, int]]:
        """Yield the events from a position on, each with the position after it."""
        first = self.seq + 1 - len(self._recent)
        if offset == seq >= first:
            lines = self._recent[seq - first :]
            return ((decode(line), at) for at, line in enumerate(lines, start=seq + 1))
        return self._reader.scan(offset=offset, seq=seq)

    def close(self) -> None:
        """Take no more events, and let another process drive the study."""
        self._open = False
        self._lease.release()

    def __enter__(self) -> S3Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _remember(self, event: Event, line: bytes, segments: set[int]) -> None:
        """Remember an event that is in the store; it may complete a segment."""
        self.seq = event.seq
        self._recent.append(line)
        if len(self._recent) == SEGMENT_EVENTS:
            number = self.seq // SEGMENT_EVENTS
            if number not in segments:
                with suppress(OSError):  # derived: it is tried again when the log is opened
                    _segment(self.path, number).write(b"".join(self._recent))
            self._recent = []


@dataclass(frozen=True, slots=True)
class S3LogReader:
    """Reads a log on an object store; implements `sweep.log.log.LogReader`.

    A position is the number of the event there.
    """

    path: Location

    def exists(self) -> bool:
        return bool(self.path.names(most=1))

    def end(self) -> int:
        segments, tail = _extent(self.path, 0)
        if not segments and not tail:
            raise no_log(self.path)
        return tail[-1] + 1 if tail else (max(segments) + 1) * SEGMENT_EVENTS

    def scan(
        self, *, offset: int = 0, seq: int = 0, end: int | None = None
    ) -> Iterator[tuple[Event, int]]:
        segments, tail = _extent(self.path, seq)
        if not segments and not tail and seq == 0:
            raise no_log(self.path)
        behind = tail[-1] + 1 if tail else (max(segments) + 1) * SEGMENT_EVENTS if segments else seq
        if offset != seq or (seq == behind and not _event(self.path, seq - 1).exists()):
            raise StudyError(f"{self.path} has no event that begins at {offset}.")
        last = behind if end is None else min(end, behind)
        for event in _events(self.path, seq, last, segments):
            yield event, event.seq + 1

    def last(self) -> Event | None:
        seq = self.end() - 1
        return next((event for event, _ in self.scan(offset=seq, seq=seq)), None)


def _extent(path: Location, first: int) -> tuple[set[int], list[int]]:
    """Return the segments from event `first` on, and the events after the last of them.

    Segments are listed first, so that events which become a segment meanwhile are listed, too.
    """
    before = f"{first // SEGMENT_EVENTS - 1:08}.jsonl" if first >= SEGMENT_EVENTS else ""
    names = (path / SEGMENTS).names(after=before)
    segments = {int(name[:8]) for name in names if re.fullmatch(r"\d{8}\.jsonl", name)}
    behind = max(first, (max(segments) + 1) * SEGMENT_EVENTS if segments else 0)
    names = path.names(after=f"{behind - 1:010}.json" if behind else "")
    return segments, [int(name[:10]) for name in names if re.fullmatch(r"\d{10}\.json", name)]


def _events(path: Location, first: int, end: int, segments: set[int]) -> Iterator[Event]:
    """Yield the events from `first` up to `end`, from segments where there are any."""
    jobs: list[range] = []
    while first < end:
        number = first // SEGMENT_EVENTS
        upto = min(end, (number + 1) * SEGMENT_EVENTS)
        seqs = range(first, upto)
        jobs += [seqs] if number in segments else [range(seq, seq + 1) for seq in seqs]
        first = upto
    with ThreadPoolExecutor(PARALLEL_GETS) as pool:
        for start in range(0, len(jobs), 4 * PARALLEL_GETS):
            some = jobs[start : start + 4 * PARALLEL_GETS]
            for job, events in zip(
                some, pool.map(lambda job: _fetch(path, job), some), strict=True
            ):
                # A damaged segment is made up for by the events' own objects.
                yield from events or [_single(path, seq) for seq in job]


def _fetch(path: Location, seqs: range) -> Sequence[Event] | None:
    """Return some events of one segment, or one event; None if the segment is damaged."""
    if len(seqs) == 1:
        return [_single(path, seqs[0])]
    try:
        lines = _segment(path, seqs[0] // SEGMENT_EVENTS).read().splitlines()
        if len(lines) != SEGMENT_EVENTS:
            return None
        events = [decode(lines[seq % SEGMENT_EVENTS]) for seq in seqs]
        for event, seq in zip(events, seqs, strict=True):
            check_seq(event, seq)
    except (ValueError, FileNotFoundError):
        return None
    return events


def _single(path: Location, seq: int) -> Event:
    """Return an event from its own object."""
    location = _event(path, seq)
    try:
        event = decode(location.read())
        check_seq(event, seq)
    except (ValueError, FileNotFoundError) as error:
        why = "it is missing" if isinstance(error, FileNotFoundError) else error
        raise DamagedLog(
            f"{path} is damaged at event {seq}: {why}. The events before it are whole; restore "
            f"{location.name} from a copy."
        ) from error
    return event


def _event(path: Location, seq: int) -> Location:
    return path / f"{seq:010}.json"


def _segment(path: Location, number: int) -> Location:
    return path / SEGMENTS / f"{number:08}.jsonl"
