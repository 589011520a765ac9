"""How a study is asked to stop: Ctrl-C, SIGTERM, or `sweep stop` from another terminal.

While trials run, the request is noted, and the runner looks at it between observations, so
that no event is cut in half; a second Ctrl-C does not wait. Where nothing is lost by it
(Ray starts, the winner is tested, a trial computes in this process) a signal ends what is
under way at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from sweep.log.study_folder import stop_file
from sweep.storage.location import Location

EXIT_RESUMABLE = 75
EXIT_INTERRUPTED = 130

CODES: dict[int, int] = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_RESUMABLE}


class Interrupted(BaseException):
    """A signal ends what is under way, at once.

    No `Exception`, so that training code does not take it for an error of its own; and no
    `KeyboardInterrupt`, which libraries answer in ways of their own.

    Args:
        exit_code: 75, or 130 after Ctrl-C.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Raise `Interrupted` where a signal finds the main thread within this block."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(CODES[number])

    with _handling(end):
        yield


@contextlib.contextmanager
def leaving_in_time(seconds: float = 15.0, hurried: float = 2.0) -> Iterator[None]:
    """End this process so long after a signal, whatever holds it up: a call into C, for one.

    Nothing is lost by it: whatever is on the disk bears a kill -9. For a command, not for a
    library: the process is the caller's.

    Args:
        seconds: after the first signal.
        hurried: after another Ctrl-C.
    """
    heard, said = socket.socketpair()
    said.setblocking(False)
    before = signal.set_wakeup_fd(said.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        code, deadline = 0, math.inf
        while (left := deadline - time.monotonic()) > 0:
            heard.settimeout(None if left == math.inf else left)
            with contextlib.suppress(TimeoutError):
                number = heard.recv(1)
                if not number and not code:
                    return  # the block ended, and nobody had asked it to
                if not number:
                    time.sleep(left)  # for what follows the block: `atexit`, threads
                elif (given := CODES.get(number[0])) is not None:
                    allowed = hurried if code and given == EXIT_INTERRUPTED else seconds
                    code, deadline = given, min(deadline, time.monotonic() + allowed)
        os.write(2, b"Something would not end in time, and was left. `sweep resume` goes on.\n")
        os._exit(code)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        said.close()


class StopRequest:
    """Notes the first request to stop.

    Args:
        folder: of the study; `sweep stop` writes a file there.
    """

    def __init__(self, folder: Location) -> None:
        self.exit_code: int | None = None
        self._file = stop_file(folder)
        self._looked = 0.0
        self._period_seconds = folder.storage.poll_seconds
        self._file.remove()

    def installed(self) -> contextlib.AbstractContextManager[None]:
        """Take the signals over for a while, and give them back."""
        return _handling(self._on_signal)

    def __bool__(self) -> bool:
        """True once somebody asked; looks for the file now and then."""
        if self.exit_code is None and time.monotonic() - self._looked >= self._period_seconds:
            with contextlib.suppress(OSError):  # the study's own writes will say so
                if self._file.exists():
                    self.exit_code = EXIT_RESUMABLE
            self._looked = time.monotonic()
        return self.exit_code is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again = self.exit_code is not None
        self.exit_code = CODES[number]
        if again and number == signal.SIGINT:
            raise Interrupted(self.exit_code)


def request_stop(folder: Location) -> None:
    """Ask the driver of the study in `folder` to stop; it ends resumable."""
    stop_file(folder).write(b"")


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hand SIGINT and SIGTERM to `handler`; elsewhere than in the main thread, change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in CODES}
    try:
        yield
    finally:
        for number, whose in before.items():
            signal.signal(number, whose)
