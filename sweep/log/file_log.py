"""A study's log on a disk: a file with one line for each event.

The file is only appended to. An event is in the log once `append` has returned: its line is on
the disk, with the newline.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sweep.core.codec import decode, encode
from sweep.core.errors import DamagedLog, StudyError
from sweep.core.events import Event
from sweep.log.log import check_seq, no_log, refused
from sweep.storage.lease import Lease
from sweep.storage.location import Location


class FileLog:
    """The log of a study on a disk, open for appending by the driver that holds the lease.

    Opening reads the whole log once, so that no study with a damaged log is resumed. A torn last
    line, which was never acknowledged, is cut off, so that no event is appended to it.

    Args:
        path: of the log, in the folder of the study, which must exist.
        lease: on the study; it is released when the log is closed, or cannot be opened.

    Attributes:
        folder: the study's.
        seq: of the last event; -1 before the first.

    Raises:
        StudyError: a line is damaged.
    """

    def __init__(self, path: Location, lease: Lease) -> None:
        self.path, self.folder = path, path.parent
        self.seq = -1
        self._reader, self._lease = FileLogReader(path), lease
        self._offset, self._open = 0, True
        try:
            self.folder.tidy()
            path.create(b"")
            for event, offset in self._reader.scan():
                self.seq, self._offset = event.seq, offset
            path.cut(self._offset)
        except BaseException:
            self.close()
            raise

    @property
    def offset(self) -> int:
        """The size of the log up to the end of the last event, in bytes."""
        return self._offset

    def append(self, event: Event) -> None:
        """Put one event on the disk.

        Raises:
            ValueError: its `seq` does not follow the last, it holds NaN or a value that JSON
                does not have, or the log is closed; nothing was written.
            Resumable: the disk refused. The content of the last line is then unknown, so the
                log takes no more events; opening it again finds out.
        """
        if not self._open:
            raise ValueError(f"the log {self.path} is closed")
        check_seq(event, self.seq + 1)
        line = encode(event)
        try:
            self.path.append(line, at=self._offset)
        except OSError as error:
            self.close()
            raise refused(self.path, error, self.folder) from error
        except BaseException:  # raised by a signal's handler while the line was written
            self.close()
            raise
        self.seq, self._offset = event.seq, self._offset + len(line)

    def read(self) -> Iterator[Event]:
        """Yield every event from the first on."""
        return (event for event, _ in self._reader.scan())

    def since(self, offset: int, seq: int) -> Iterator[tuple[Event, int]]:
        """Yield the events from a byte on, each with the position after it."""
        return self._reader.scan(offset=offset, seq=seq)

    def close(self) -> None:
        """Take no more events, and let another process drive the study."""
        self._open = False
        self._lease.release()

    def __enter__(self) -> FileLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class FileLogReader:
    """Reads a log on a disk; implements `sweep.log.log.LogReader`. Positions are bytes."""

    path: Location

    def exists(self) -> bool:
        return self.path.exists()

    def end(self) -> int:
        with self._file() as file:
            return file.seek(0, os.SEEK_END)

    def scan(
        self, *, offset: int = 0, seq: int = 0, end: int | None = None
    ) -> Iterator[tuple[Event, int]]:
        with self._file() as file:
            end = file.seek(0, os.SEEK_END) if end is None else end
            file.seek(max(0, offset - 1))
            if offset and file.read(1) != b"\n":
                raise StudyError(f"{self.path} has no line that begins at byte {offset}.")
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
                        f"{self.path} is damaged at line {seq + 1}: {error}. The lines before it "
                        "are whole; restore the file from a copy."
                    ) from error
                yield event, offset
                seq += 1

    def last(self) -> Event | None:
        """See `LogReader.last`; each line is checked by its number and its last character.

        This takes a thirtieth of the time of decoding all lines.
        """
        with self._file() as file:
            *lines, torn = file.read().split(b"\n")
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

    def _file(self) -> BinaryIO:
        try:
            return self.path.open_read()
        except FileNotFoundError:
            raise no_log(self.path) from None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
