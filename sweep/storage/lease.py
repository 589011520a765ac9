"""Who drives a study: one process at a time, which others know by its note and its heartbeat.

The note, `driver.json`, says which process drives; it is written again every few seconds. On a
disk a lock beside it says whether that driver lives, for a lock is let go of when its process ends,
whatever ended it. An object store has no locks: there the note itself is the lease. It is
replaced only by who knows its last version, and counts as left when it has not been replaced for a
minute by the store's own clock, or when its process was on this machine and is gone. A driver
that was silent so long and comes back finds its note replaced, and ends; should an event of its
be on the way before it looks, the log refuses that (`sweep.log.s3_log`).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import filelock

from sweep.core.errors import Resumable, StudyError
from sweep.storage import disk as files
from sweep.storage.disk import Place
from sweep.storage.symlinks import refuse_links

LOCK = "driver.lock"
DRIVER = "driver.json"  # beside the lock: some versions of filelock truncate what they lock
BEAT_SECONDS = 10.0
DEAD_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """A process that drives a study.

    Args:
        host, pid: where it runs.
        time: when it began, in seconds since the epoch.
        machine: what its pid is a number of: the boot of a machine, and the container there.
        token: nobody else's.
        beats: so many heartbeats ago it began.
    """

    host: str
    pid: int
    time: float
    machine: str = ""
    token: str = ""
    beats: int = 0

    @classmethod
    def me(cls) -> Driver:
        """Return this process."""
        return cls(
            host=socket.gethostname(),
            pid=os.getpid(),
            time=time.time(),
            machine=_machine(),
            token=secrets.token_hex(8),
        )

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))
        return f"process {self.pid} on {self.host}, since {since}"

    def to_bytes(self) -> bytes:
        """Return the note."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, note: bytes) -> Driver | None:
        """Return whom a note names, or None."""
        try:
            fields: Any = json.loads(note)
            return cls(**fields)
        except (ValueError, TypeError):
            return None


def driver(folder: Place) -> Driver | None:
    """Return who drives the study now, or None; a killed driver's note does not count."""
    if not isinstance(folder, Path):
        seen = files.look(folder / DRIVER)
        holder = Driver.from_bytes(seen.data) if seen else None
        return holder if seen and holder and _lives(holder, seen.age_seconds) else None
    found, _ = _noted(folder)
    if found is None:
        return None
    refuse_links(folder)
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    with suppress(filelock.Timeout, OSError), lock:
        return None
    return found


def noted(folder: Place) -> tuple[Driver | None, float | None]:
    """Return whom a study's note names, dead or alive, and the age of its heartbeat in seconds."""
    if isinstance(folder, Path):
        return _noted(folder)
    seen = files.look(folder / DRIVER)
    return (Driver.from_bytes(seen.data), seen.age_seconds) if seen else (None, None)


class FileLease:
    """The right to drive a study on a disk, held from here to `release`.

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
            raise _taken(folder, *_noted(folder)) from None
        except OSError as error:
            raise StudyError(f"The study {folder} cannot be locked: {error}.") from error
        self._note = Driver.me().to_bytes()
        try:
            self._beat()
        except BaseException:
            self._lock.release()
            raise
        self._heart = _Heart(self._beat)

    def release(self) -> None:
        """Let another process drive the study; nothing happens the second time."""
        if self._lock.is_locked:
            self._heart.stop()
            with suppress(OSError):  # the note is a courtesy, and its folder may be gone
                files.remove(self._folder / DRIVER)
            self._lock.release()

    def _beat(self) -> None:
        files.write(self._folder / DRIVER, self._note)


class ObjectLease:
    """The right to drive a study on an object store, held from here to `release`.

    Args:
        folder: of the study.

    Raises:
        StudyError: another process holds it.
    """

    def __init__(self, folder: Place) -> None:
        self._folder = folder
        self._me = Driver.me()
        self._held = True
        self._tag = self._take()
        self._heart = _Heart(self._beat)

    def check(self) -> None:
        """Raise `Resumable` once another driver has taken the study over."""
        if not self._held:
            raise Resumable(
                f"Another driver has taken {self._folder} over while this one was silent. All that "
                f"the log holds is kept; `sweep resume {self._folder}` goes on when that one ends."
            )

    def release(self) -> None:
        """Let another process drive the study; nothing happens the second time."""
        self._heart.stop()
        if self._held:
            with suppress(OSError):  # it is left in a minute
                files.swap(self._folder / DRIVER, b"{}", self._tag)
        self._held = False

    def _take(self) -> str:
        place, note = self._folder / DRIVER, self._me.to_bytes()
        seen = files.look(place)
        if seen is None:
            files.create(place, note)
            seen = files.look(place)
            if seen is not None and seen.data == note:
                return seen.tag
        else:
            holder = Driver.from_bytes(seen.data)
            if holder is None or not _lives(holder, seen.age_seconds):
                tag = files.swap(place, note, seen.tag)
                if tag is not None:
                    return tag
                seen = files.look(place)  # somebody was quicker
        if seen is None:
            raise _taken(self._folder, None, None)
        raise _taken(self._folder, Driver.from_bytes(seen.data), seen.age_seconds)

    def _beat(self) -> None:
        if not self._held:
            return
        place = self._folder / DRIVER
        self._me = replace(self._me, beats=self._me.beats + 1)
        tag = files.swap(place, self._me.to_bytes(), self._tag)
        if tag is None:
            seen = files.look(place)
            now = Driver.from_bytes(seen.data) if seen else None
            if seen is None or now is None or now.token != self._me.token:
                self._held = False
                return
            tag = seen.tag  # an earlier beat's, whose answer got lost
        self._tag = tag


class _Heart:
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


def _lives(holder: Driver, silent_seconds: float) -> bool:
    """Return whether the holder of a lease on an object store may still be at work."""
    here = holder.machine and (holder.machine, holder.host) == (_machine(), socket.gethostname())
    return silent_seconds < DEAD_SECONDS and not (here and not _runs(holder.pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def _machine() -> str:
    """Return what tells apart machines, their boots, and containers; "" where it is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _taken(folder: Place, holder: Driver | None, silent_seconds: float | None) -> StudyError:
    """Return the sentence for whoever comes second."""
    who = holder or "another process"
    beat, left = "", ""
    if silent_seconds is not None:
        beat = f", whose heartbeat is {silent_seconds:.0f} s old"
    if not isinstance(folder, Path) and silent_seconds is not None:
        rest = max(1.0, DEAD_SECONDS - silent_seconds)
        left = f" If it is dead, the study is free in {rest:.0f} s."
    return StudyError(
        f"The study {folder} is driven already, by {who}{beat}. "
        f"`sweep stop {folder}` stops that one.{left}"
    )


def _noted(folder: Path) -> tuple[Driver | None, float | None]:
    """Return whom the note on a disk names, and the seconds since the last heartbeat."""
    try:
        found = Driver.from_bytes(files.read(folder / DRIVER))
        return found, files.age(folder / DRIVER)
    except OSError:
        return None, None
