"""A study's tables on disk: Parquet snapshots, and reading them up to the log's last event.

The driver rewrites all snapshots from time to time. Each file holds the events up to a byte of the
log, and names this byte. A reader adds the events after it, so it gets every event even if the
files are old, damaged or lost; it writes nothing. The rows are made in `sweep.tables.rows`; the
columns are in `sweep.tables.schemas`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sweep.core.errors import StudyError, SweepError, unknown_name
from sweep.core.events import Event, StudyBegan
from sweep.log.log import StudyLog, refused, salvage
from sweep.log.study_folder import log_of, tables_folder
from sweep.storage.location import Location
from sweep.tables.arrow import reader
from sweep.tables.rows import builder
from sweep.tables.schemas import SCHEMAS, VERSION

TABLES = tuple(SCHEMAS)
_KEY = b"sweep"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """The last event of the log that a snapshot holds.

    Args:
        version: of the schemas.
        offset: end of the last event in the snapshot: bytes, or events on an object store.
        seq: of that event.
        study: its name, which only the first event holds.
    """

    version: int = VERSION
    offset: int = 0
    seq: int = -1
    study: str = ""


START = Mark()


class Snapshots:
    """Writes the tables from time to time; the driver has one.

    Args:
        log: of the study that this process drives.
        period_seconds: shortest time between two writes.
        share: shortest time between two writes, as a multiple of the time of the last write. With
            20 the tables take a twentieth of the driver's time in a study of any length.
        clock: returns seconds since any fixed time.
    """

    def __init__(
        self,
        log: StudyLog,
        *,
        period_seconds: float = 10.0,
        share: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._builders = {name: builder(name) for name in TABLES}
        self._mark = self._written = START
        self._period_seconds = period_seconds
        self._share = share
        self._clock = clock
        self._due = clock() + period_seconds

    def update(self, event: Event) -> None:
        """Add an event that is already in the log; write the tables if it is time.

        A listener of the study. Events are added as they come, so that no write must add thousands
        of events at once.
        """
        if event.seq == self._log.seq == self._mark.seq + 1:
            self._add(event, self._log.offset)
        if self._clock() >= self._due:
            self.write()

    def write(self) -> None:
        """Add the log's other events; write each table to a new file, which replaces the old one.

        Raises:
            StudyError: the log is damaged.
            Resumable: the disk refused a write.
        """
        began = self._clock()
        if self._mark.seq < self._log.seq:
            for event, offset in self._log.since(self._mark.offset, self._mark.seq + 1):
                self._add(event, offset)
        if self._mark != self._written:
            folder = tables_folder(self._log.folder)
            try:
                folder.make_folder(under=self._log.folder)
                for name, table in self._builders.items():
                    data = _parquet(table.table(), self._mark)
                    (folder / f"{name}.parquet").write(data)
            except OSError as error:
                raise refused(folder, error, self._log.folder) from error
            self._written = self._mark
        ended = self._clock()
        self._due = ended + max(self._period_seconds, self._share * (ended - began))

    def __enter__(self) -> Snapshots:
        """Remove the unfinished files of a killed driver."""
        tables_folder(self._log.folder).tidy()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write once more; an error that ends the study hides an error of this write."""
        with suppress(SweepError) if error is not None else nullcontext():
            self.write()

    def _add(self, event: Event, offset: int) -> None:
        for table in self._builders.values():
            table.add(event)
        study = event.name if isinstance(event, StudyBegan) else self._mark.study
        self._mark = Mark(offset=offset, seq=event.seq, study=study)


class StudyTables:
    """Reads a study's tables, up to the end of the log when this object was made.

    Args:
        folder: the study's.

    Raises:
        StudyError: there is no study.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._log = log_of(folder)
        self._end = self._log.end()
        self._tails: dict[Mark, list[Event]] = {}

    def table(self, name: str) -> pa.Table:
        """Return one table.

        If the snapshot holds every event, this is the content of the Parquet file. If the snapshot
        is missing, damaged, of another version or not of this log, the table is made from the
        whole log, in memory. For a damaged log the table holds the events before the damage, and
        a `StudyWarning` is given.

        Raises:
            StudyError: no such table, or another version of sweep wrote the log.
        """
        if name not in SCHEMAS:
            raise StudyError(unknown_name("The table", name, TABLES))
        snapshot = self._snapshot(name)
        if snapshot is not None:
            before, mark = snapshot
            try:
                return self._fold(name, before, mark)
            except SweepError:
                pass  # the snapshot is stale or not of this log, or the log is damaged after it
        return self._fold(name, SCHEMAS[name].empty_table(), START)

    def source(self, name: str) -> pa.Table | ds.Dataset:
        """Return one table for a query engine, which may read only the columns it needs.

        If the snapshot holds every event, this is a dataset over the file (a third of the time of
        `table`, for 4 columns of 40). A damaged page raises `IOError` when it is read; call `table`
        then.
        """
        opened = self._open(name)
        if opened is not None:
            file, mark = opened
            with suppress(SweepError):
                if not self._tail(mark):
                    return _dataset(file)
        return self.table(name)

    def snapshot_seq(self, name: str) -> int | None:
        """Return `seq` of the last event in a table's snapshot; None without a usable snapshot."""
        snapshot = self._snapshot(name)
        return None if snapshot is None else snapshot[1].seq

    def _open(self, name: str) -> tuple[pa.NativeFile, Mark] | None:
        """Return the snapshot if it is usable; it is a copy, so the file may be replaced."""
        location = tables_folder(self._folder) / f"{name}.parquet"
        try:
            file = reader(location.view())
            schema = pq.read_schema(file)
            mark = Mark(**json.loads(schema.metadata[_KEY]))
            usable = self._usable(mark) and _fits(schema, name)
        except _UNREADABLE:
            return None
        return (file, mark) if usable else None

    def _usable(self, mark: Mark) -> bool:
        valid = type(mark.offset) is type(mark.seq) is int and isinstance(mark.study, str)
        return valid and mark.version == VERSION and 0 < mark.offset <= self._end and mark.seq >= 0

    def _snapshot(self, name: str) -> tuple[pa.Table, Mark] | None:
        opened = self._open(name)
        if opened is None:
            return None
        file, mark = opened
        try:
            table = pq.ParquetFile(file, page_checksum_verification=True).read()
        except _UNREADABLE:
            return None
        return table.replace_schema_metadata(None), mark

    def _fold(self, name: str, before: pa.Table, mark: Mark) -> pa.Table:
        events = self._tail(mark)
        if not events:
            return before
        table = builder(name, before=before, study=mark.study)
        for event in events:
            table.add(event)
        return table.table()

    def _tail(self, mark: Mark) -> list[Event]:
        if mark not in self._tails:
            if mark == START:
                events = salvage(self._log, end=self._end)
            else:
                events = self._log.scan(offset=mark.offset, seq=mark.seq + 1, end=self._end)
            self._tails[mark] = [event for event, _ in events]
        return self._tails[mark]


def read(folder: Location) -> dict[str, pa.Table]:
    """Return every table of a study, all as of the same event."""
    tables = StudyTables(folder)
    return {name: tables.table(name) for name in TABLES}


def _fits(schema: pa.Schema, name: str) -> bool:
    """Return whether a file has a table's columns, in order; `trials` may have others between."""
    own = SCHEMAS[name]
    fixed = [field for field in schema if field.name in own.names]
    return fixed == list(own) and (name == "trials" or len(schema) == len(own))


def _dataset(file: pa.NativeFile) -> ds.Dataset:
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    parquet = ds.ParquetFileFormat(default_fragment_scan_options=options)
    fragment = parquet.make_fragment(file)
    return ds.FileSystemDataset([fragment], fragment.physical_schema, parquet)


def _parquet(table: pa.Table, mark: Mark) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata({_KEY: json.dumps(asdict(mark))}),
        sink,
        compression="zstd",
        write_page_checksum=True,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data
