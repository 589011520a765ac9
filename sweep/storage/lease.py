"""Which process drives a study: one at a time, known to others by its note and its heartbeat.

The note, `driver.json`, says which process drives, and is written again every few seconds. On a
disk a lock file beside the note says whether that driver lives: the system unlocks it when the
process ends. An object store has no locks, so there the note itself is the lease. It is replaced
only by a process that knows its ETag. It counts as abandoned when it was not replaced for a minute
by the store's own clock, or when its process was on this machine and has ended. A driver that slept
so long finds its note replaced and ends. If an event of that driver is under way at the time,
the log refuses the event (`sweep.log.s3_log`).
"""

from __future__ import annotations

import contextlib
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
from typing import Any, Protocol

from sweep.core.errors import Resumable, StudyDriven, StudyError
from sweep.storage.base import ConditionalStorage
from sweep.storage.location import Location
from sweep.storage.symlinks import refuse_links

LOCK = "driver.lock"
NOTE = "driver.json"  # not the locked file: some versions of filelock truncate what they lock
BEAT_SECONDS = 10.0
DEAD_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseHolder:
    """A process that drives a study.

    Args:
        host, pid: where it runs.
        time: when it began, in seconds since the epoch.
        machine: the boot of the machine, and the container: a pid is unique only there.
        token: random, so that no other holder has it.
        beats: heartbeats since it began.
    """

    host: str
    pid: int
    time: float
    machine: str = ""
    token: str = ""
    beats: int = 0

    @classmethod
    def this_process(cls) -> LeaseHolder:
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
        """Return the content of the note."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, note: bytes) -> LeaseHolder | None:
        """Return the holder that a note names, None if it names none."""
        try:
            fields: Any = json.loads(note)
            return cls(**fields)
        except (ValueError, TypeError):
            return None


class Lease(Protocol):
    """The right to drive a study, held until `release`."""

    def check(self) -> None:
        """Raise `Resumable` once another driver has taken the study over."""

    def release(self) -> None:
        """Let another process drive the study; a second call does nothing."""


def take(folder: Location) -> Lease:
    """Return the right to drive a study.

    Args:
        folder: of the study; it must exist.

    Raises:
        StudyDriven: another process holds it.
        StudyError: the folder cannot be locked.
    """
    store = folder.conditional
    return FileLease(folder) if store is None else ObjectLease(folder, store)


def holder_of(folder: Location) -> LeaseHolder | None:
    """Return the process that drives the study now, or None; a killed driver does not count."""
    noted_holder, silent_seconds = noted(folder)
    if noted_holder is None or silent_seconds is None:
        return None
    if folder.conditional is not None:
        return noted_holder if _lives(noted_holder, silent_seconds) else None
    refuse_links(folder)
    with suppress(OSError), (folder / LOCK).lock(seconds=0):
        return None
    return noted_holder


def noted(folder: Location) -> tuple[LeaseHolder | None, float | None]:
    """Return the holder in the note, dead or alive, and the age of its heartbeat in seconds."""
    try:
        note = (folder / NOTE).look()
    except OSError:
        if folder.conditional is not None:
            raise
        return None, None
    return (LeaseHolder.from_bytes(note.data), note.age_seconds) if note else (None, None)


class FileLease:
    """A lease on a disk: a lock. The note is for other processes to read.

    Args:
        folder: of the study; it must exist.

    Raises:
        StudyDriven: another process holds it.
        StudyError: the folder cannot be locked.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._lock = contextlib.ExitStack()
        try:
            # One second: `holder_of` takes the lock for a moment, to see whether it is free.
            self._lock.enter_context((folder / LOCK).lock(seconds=1))
        except TimeoutError:
            raise _taken(folder, *noted(folder)) from None
        except OSError as error:
            raise StudyError(f"The study {folder} cannot be locked: {error}.") from error
        self._note = LeaseHolder.this_process().to_bytes()
        try:
            self._beat()
        except BaseException:
            self._lock.close()
            raise
        self._heart = _Heart(self._beat)
        self._held = True

    def check(self) -> None:
        """Do nothing: no other process can take a lock that is held."""

    def release(self) -> None:
        """Let another process drive the study; a second call does nothing."""
        if self._held:
            self._heart.stop()
            with suppress(OSError):  # the folder may be gone, and a note alone holds nothing
                (self._folder / NOTE).remove()
            self._held = False
            self._lock.close()

    def _beat(self) -> None:
        (self._folder / NOTE).write(self._note)


class ObjectLease:
    """A lease on an object store: the newest version of the note is this holder's.

    Args:
        folder: of the study.
        store: of the folder.

    Raises:
        StudyDriven: another process holds it.
    """

    def __init__(self, folder: Location, store: ConditionalStorage) -> None:
        self._folder, self._store = folder, store
        self._note = folder / NOTE
        self._me = LeaseHolder.this_process()
        self._held = True
        self._etag = self._take()
        self._heart = _Heart(self._beat)

    def check(self) -> None:
        """Raise `Resumable` once another driver has taken the study over."""
        if not self._held:
            raise Resumable(
                f"Another driver has taken {self._folder} over while this one was silent. "
                f"Every event in the log is kept. `sweep resume {self._folder}` goes on when the "
                "other driver ends."
            )

    def release(self) -> None:
        """Let another process drive the study; a second call does nothing."""
        self._heart.stop()
        if self._held:
            with suppress(OSError):  # it counts as abandoned in a minute
                self._replace(b"{}")
        self._held = False

    def _take(self) -> str:
        """Put the note, and return its ETag."""
        data, version = self._me.to_bytes(), self._note.look()
        if version is None:
            self._note.create(data)
            version = self._note.look()
            if version is not None and version.data == data:
                return version.etag
        else:
            before = LeaseHolder.from_bytes(version.data)
            if before is None or not _lives(before, version.age_seconds):
                etag = self._store.replace(self._note.path, data, version.etag)
                if etag is not None:
                    return etag
                version = self._note.look()  # another process was faster
        if version is None:
            raise _taken(self._folder, None, None)
        raise _taken(self._folder, LeaseHolder.from_bytes(version.data), version.age_seconds)

    def _beat(self) -> None:
        if not self._held:
            return
        self._me = replace(self._me, beats=self._me.beats + 1)
        etag = self._replace(self._me.to_bytes())
        if etag is None:
            version = self._note.look()
            now = LeaseHolder.from_bytes(version.data) if version else None
            if version is None or now is None or now.token != self._me.token:
                self._held = False
                return
            etag = version.etag  # of an earlier heartbeat, whose answer was lost
        self._etag = etag

    def _replace(self, data: bytes) -> str | None:
        return self._store.replace(self._note.path, data, self._etag)


class _Heart:
    """Calls `beat` every `BEAT_SECONDS` in a thread that ends with the process."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and wait for a heartbeat that is under way."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            with suppress(OSError):  # the study's own writes report a broken storage
                self._beat()


def _lives(holder: LeaseHolder, silent_seconds: float) -> bool:
    """Return whether the holder of a lease on an object store may still be at work."""
    here = holder.machine and (holder.machine, holder.host) == (_machine(), socket.gethostname())
    return silent_seconds < DEAD_SECONDS and not (here and not _runs(holder.pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process
        pass
    return True


def _machine() -> str:
    """Return a name that differs between machines, boots and containers; "" if it is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _taken(
    folder: Location, holder: LeaseHolder | None, silent_seconds: float | None
) -> StudyDriven:
    """Return the error of a process that finds the study driven by another."""
    heartbeat, free = "", ""
    if silent_seconds is not None:
        heartbeat = f", whose heartbeat is {silent_seconds:.0f} s old"
        if folder.conditional is not None:
            rest = max(1.0, DEAD_SECONDS - silent_seconds)
            free = f" If it is dead, the study is free in {rest:.0f} s."
    return StudyDriven(
        f"The study {folder} is driven already, by {holder or 'another process'}{heartbeat}. "
        f"`sweep stop {folder}` stops that process.{free}"
    )
