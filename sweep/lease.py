"""Who drives a study: one process at a time, which others know by its note and its heartbeat.

A lock says whether the driver lives, for it is let go of when a process ends, whatever ended it.
The note beside it, `driver.json`, says who that is; it is written again every few seconds, so
that a driver which hangs can be told from one at work.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock

from sweep import files
from sweep.errors import StudyError

LOCK = "driver.lock"
DRIVER = "driver.json"  # beside the lock: some versions of filelock truncate what they lock
BEAT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """A process that drives a study; `time`, when it began, in seconds since the epoch."""

    host: str
    pid: int
    time: float

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))
        return f"process {self.pid} on {self.host}, since {since}"


def driver(folder: Path) -> Driver | None:
    """Return who drives the study now, or None; a killed driver's note does not count."""
    found = _noted(folder)
    if found is None:
        return None
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    with suppress(filelock.Timeout, OSError), lock:
        return None
    return found


class Lease:
    """The right to drive a study, held from here to `release`.

    Args:
        folder: of the study, which must exist.

    Raises:
        StudyError: another process holds it, or the folder cannot be locked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A second of patience: `driver` takes the lock for a moment, to see whether it is free.
        self._lock = filelock.FileLock(folder / LOCK, timeout=1, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise taken(folder, _noted(folder), _silence(folder)) from None
        except OSError as error:
            raise StudyError(f"The study {folder} cannot be locked: {error}.") from error
        me = Driver(host=socket.gethostname(), pid=os.getpid(), time=time.time())
        self._note = json.dumps(asdict(me)).encode()
        try:
            self._beat()
        except BaseException:
            self._lock.release()
            raise
        self._heart = Heart(self._beat)

    def release(self) -> None:
        """Let another process drive the study; nothing happens the second time."""
        if self._lock.is_locked:
            self._heart.stop()
            with suppress(OSError):  # the note is a courtesy, and its folder may be gone
                files.remove(self._folder / DRIVER)
            self._lock.release()

    def _beat(self) -> None:
        files.write(self._folder / DRIVER, self._note)


class Heart:
    """Calls `beat` every `BEAT_SECONDS` in a thread that ends with the process."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; one that is under way is waited for."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            with suppress(OSError):  # the study's own writes will say so
                self._beat()


def taken(folder: Path, holder: Driver | None, silent_seconds: float | None) -> StudyError:
    """Return the sentence for whoever comes second."""
    who = holder or "another process"
    beat = "" if silent_seconds is None else f", whose heartbeat is {silent_seconds:.0f} s old"
    return StudyError(
        f"The study {folder} is driven already, by {who}{beat}. "
        f"`sweep stop {folder}` stops that one."
    )


def _noted(folder: Path) -> Driver | None:
    try:
        fields: Any = json.loads(files.read(folder / DRIVER))
        return Driver(**fields)
    except (OSError, ValueError, TypeError):
        return None


def _silence(folder: Path) -> float | None:
    """Return the seconds since the driver's last heartbeat, None where it never had one."""
    try:
        return files.age(folder / DRIVER)
    except OSError:
        return None
