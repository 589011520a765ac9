"""A trial's log file: what it prints, and the traceback of an attempt that failed.

It tells a person what went on and is believed by nobody, so that no failure to write it ends a
trial: what a full or vanished disk does not take is lost.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sweep.storage import disk as files
from sweep.storage.disk import Place

LOG = "log.txt"
PUT_SECONDS = 10.0


class TrialLog:
    """The file, or the object, which cannot be appended to and is put whole, now and then.

    Args:
        place: of the file; what it holds already is kept.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._scratch: TextIO | None = None
        if not isinstance(place, Path):
            self._scratch = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # `close`
            with contextlib.suppress(OSError):
                self._scratch.write(files.read(place).decode("utf-8", errors="replace"))
        self._put_at = time.monotonic()

    @contextlib.contextmanager
    def open(self) -> Iterator[TextIO]:
        """Yield the file, to be written to; it is put at a failure, and when it is time."""
        if self._scratch is None:
            with _appending(Path(str(self._place))) as file:
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
        """Put what was written so far; a store that refuses is no reason to end a trial."""
        if self._scratch is None:
            return
        self._scratch.seek(0)
        text = self._scratch.read()
        with contextlib.suppress(OSError):
            files.write(self._place, text.encode())
        self._put_at = time.monotonic()

    def close(self) -> None:
        """Put what was written, and write no more."""
        self.put()
        if self._scratch is not None:
            self._scratch.close()


class _Lossy(io.FileIO):
    """A file that takes what it can: the disk may be full, or gone."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            super().write(data)
        return len(data)


def _appending(path: Path) -> TextIO:
    """Open a file to write behind what it holds, line by line; no failure of it ends a trial."""
    try:
        raw = _Lossy(path, "a")
    except OSError:
        raw = _Lossy(os.devnull, "a")
    return io.TextIOWrapper(raw, encoding="utf-8", line_buffering=True, write_through=True)
