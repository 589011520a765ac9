"""A trial's log file: the trial's output, and the traceback of an attempt that failed.

Read by people only, so write errors are ignored: a full or vanished disk ends no trial here.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any, TextIO

from sweep.storage.location import Location

LOG = "log.txt"
PUT_SECONDS = 10.0
"""Shortest time between two writes of the log on an object store."""


class TrialLog:
    """A file that is appended to, or an object that is written whole from time to time.

    Args:
        location: of the file; its content is kept.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._scratch: TextIO | None = None
        if location.conditional is not None:
            self._scratch = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # `close`
            with contextlib.suppress(OSError):
                self._scratch.write(location.read().decode("utf-8", errors="replace"))
        self._put_at = time.monotonic()

    @contextlib.contextmanager
    def open(self) -> Iterator[TextIO]:
        """Yield the file for writing; an object is put after a failure or after `PUT_SECONDS`."""
        if self._scratch is None:
            with _appending(self._location) as file:
                yield file
            return
        try:
            yield self._scratch
        except Exception:
            self.put()
            raise
        if time.monotonic() - self._put_at >= PUT_SECONDS:
            self.put()

    def put(self) -> None:
        """Put the text written so far; an error of the store is ignored."""
        if self._scratch is None:
            return
        self._scratch.seek(0)
        text = self._scratch.read()
        with contextlib.suppress(OSError):
            self._location.write(text.encode())
        self._put_at = time.monotonic()

    def close(self) -> None:
        """Put the text written so far, and close the file."""
        self.put()
        if self._scratch is not None:
            self._scratch.close()


class _Lossy(io.RawIOBase):
    """A file whose write errors are ignored: the disk may be full or gone."""

    def __init__(self, file: io.FileIO) -> None:
        super().__init__()
        self._file = file

    @property
    def name(self) -> object:
        return self._file.name

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            self._file.write(data)
        return len(data)

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        super().close()


def _appending(location: Location) -> TextIO:
    """Open a file for appending, line by line; an error of the disk is ignored."""
    try:
        file = location.open_append()
    except OSError:
        file = None
    raw = _Lossy(file or io.FileIO(os.devnull, "a"))
    return io.TextIOWrapper(raw, encoding="utf-8", line_buffering=True, write_through=True)
