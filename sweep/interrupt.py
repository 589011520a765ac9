"""How a study is asked to stop: Ctrl-C, SIGTERM, or `sweep stop` from another terminal.

The request is noted, and the runner looks at it between observations, so that no event is
cut in half. A second Ctrl-C does not wait.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from sweep import files
from sweep.files import Place

STOP_FILE = "stop.request"
EXIT_RESUMABLE = 75
EXIT_INTERRUPTED = 130


class StopRequest:
    """Notes the first request to stop.

    Args:
        folder: of the study; `sweep stop` writes a file there.
    """

    def __init__(self, folder: Place) -> None:
        self.exit_code: int | None = None
        self._file = folder / STOP_FILE
        self._looked = 0.0
        self._period_seconds = 1.0 if isinstance(folder, Path) else 5.0
        files.remove(self._file)

    def install(self) -> None:
        """Take SIGINT and SIGTERM over, after `ray.init`, which does too.

        Signals reach the main thread only; elsewhere `sweep stop` still works.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals over for a while, and give them back."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.install()
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in before.items():
                    signal.signal(number, handler)

    def __bool__(self) -> bool:
        """True once somebody asked; looks for the file now and then."""
        if self.exit_code is None and time.monotonic() - self._looked >= self._period_seconds:
            with contextlib.suppress(OSError):  # the study's own writes will say so
                if files.exists(self._file):
                    self.exit_code = EXIT_RESUMABLE
            self._looked = time.monotonic()
        return self.exit_code is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.exit_code is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.exit_code = EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_RESUMABLE


def request_stop(folder: Place) -> None:
    """Ask the driver of the study in `folder` to stop; it ends resumable."""
    files.write(folder / STOP_FILE, b"")
