"""How a study is asked to stop: Ctrl-C, SIGTERM, or `sweep stop` from another terminal.

While trials run, the request is noted, and the runner checks for it between observations, so
that no event is cut in half. A second Ctrl-C does not wait. While Ray starts, the winner is
tested, or a trial computes in this process, an abrupt end loses nothing: there a signal ends the
work at once.
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
    """A signal ends the work at once.

    Not an `Exception`, because training code might catch it as an error of its own. Not a
    `KeyboardInterrupt`, because libraries handle that in different ways.

    Args:
        exit_code: 75, or 130 after Ctrl-C.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Raise `Interrupted` if a signal comes while the main thread is in this block."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(CODES[number])

    with _handling(end):
        yield


@contextlib.contextmanager
def leaving_in_time(seconds: float = 15.0, hurried: float = 2.0) -> Iterator[None]:
    """End this process some time after a signal, even if a call into C never returns.

    Nothing is lost: the files of a study survive kill -9. This is for a command and not for a
    library, because it ends the caller's process.

    Args:
        seconds: from the first signal to the end.
        hurried: from another Ctrl-C to the end, in seconds.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        code, deadline = 0, math.inf
        while (left := deadline - time.monotonic()) > 0:
            receiver.settimeout(None if left == math.inf else left)
            with contextlib.suppress(TimeoutError):
                number = receiver.recv(1)
                if not number and not code:
                    return  # the block ended without a signal
                if not number:
                    time.sleep(left)  # the block ended: `atexit` and threads get the rest
                elif (signal_code := CODES.get(number[0])) is not None:
                    allowed = hurried if code and signal_code == EXIT_INTERRUPTED else seconds
                    code, deadline = signal_code, min(deadline, time.monotonic() + allowed)
        os.write(2, b"The process did not end in time and was ended. `sweep resume` goes on.\n")
        os._exit(code)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        sender.close()


class StopRequest:
    """Notes the first request to stop; a request from before it was made is removed.

    Args:
        folder: of the study, into which `sweep stop` writes a file.

    Attributes:
        exit_code: 75 or 130 after a request, None before.
    """

    def __init__(self, folder: Location) -> None:
        self.exit_code: int | None = None
        self._file = stop_file(folder)
        self._looked_at = 0.0
        self._poll_seconds = folder.storage.poll_seconds
        self._file.remove()

    def installed(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which signals are noted here."""
        return _handling(self._on_signal)

    def __bool__(self) -> bool:
        """True after a request; looks for the file every `poll_seconds` of the storage."""
        if self.exit_code is None and time.monotonic() - self._looked_at >= self._poll_seconds:
            with contextlib.suppress(OSError):  # the study's own writes report a broken storage
                if self._file.exists():
                    self.exit_code = EXIT_RESUMABLE
            self._looked_at = time.monotonic()
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
    """Hand SIGINT and SIGTERM to `handler`; in other threads than the main one, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in CODES}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
