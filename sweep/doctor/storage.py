"""The storage of results: whether it can be written, read back and locked, and how much is free."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from sweep.core.errors import StoreError
from sweep.doctor.finding import Finding
from sweep.storage.location import Location

FULL_BYTES = 100e6
SCARCE_BYTES = 2e9
SLOW_SECONDS = 0.1
"""To put one event on the disk; a trial writes a handful of events, and its heartbeats."""

ANOTHER_FOLDER = "Name another folder with --results DIR"


def nearest(results: Location) -> Location:
    """Return the folder, or the first one above it that exists; no folder is made."""
    folder = results.absolute()
    while not folder.is_folder() and not folder.exists() and folder.parent != folder:
        folder = folder.parent
    return folder


def findings(results: Location) -> Iterator[Finding]:
    """Yield what was tried on the storage of results; a folder that does not exist is not made."""
    if results.conditional is not None:
        yield from _object_store(results)
        return
    folder = nearest(results)
    named = f"{results}" if folder == results.absolute() else f"{results} (not made yet: {folder})"
    if not folder.is_folder():
        seen = f"{folder} is a file and not a folder"
        yield Finding(check="storage", state="wrong", seen=seen, cure=f"{ANOTHER_FOLDER}.")
        return
    file = folder.scratch("doctor")
    try:
        yield _written(file, named)
        yield _locked(folder.scratch("doctor"))
    except OSError as error:
        yield Finding(
            check="storage",
            state="wrong",
            seen=f"{named} cannot be written: {error.strerror or error}",
            cure=f"{ANOTHER_FOLDER}, or correct its permissions.",
        )
    finally:
        with suppress(OSError):
            file.remove()
    if (free := folder.free_bytes()) is not None:
        yield _room(free)


def _written(file: Location, named: str) -> Finding:
    """Write, rename over, append with a sync, and read back."""
    file.write(b"one")
    file.write(b"two")
    began = time.perf_counter()
    file.append(b" three", at=3)
    seconds = time.perf_counter() - began
    if (back := file.read()) != b"two three":
        cure = f"{ANOTHER_FOLDER}: this file system returns wrong data."
        return Finding(check="storage", state="wrong", seen=f"{named} gave {back!r}", cure=cure)
    seen = f"{named}: written, renamed, synced in {1000 * seconds:.1f} ms, read back"
    if seconds > SLOW_SECONDS:
        cure = "Each event waits for the disk: choose a faster one with --results DIR."
        return Finding(check="storage", state="warning", seen=seen, cure=cure)
    return Finding(check="storage", state="ok", seen=seen)


def _locked(file: Location) -> Finding:
    """Take a lock twice; the second time must fail."""
    try:
        with file.lock(seconds=1):
            try:
                with file.lock(seconds=0):
                    seen = "two could lock one file: nothing protects two drivers of one study"
                    cure = f"Start only one driver of a study, or n{ANOTHER_FOLDER[1:]}."
                    return Finding(check="locks", state="wrong", seen=seen, cure=cure)
            except TimeoutError:
                return Finding(check="locks", state="ok", seen="a file locked is locked for others")
    except OSError as error:
        seen = f"files cannot be locked there ({error}), and a study must be"
        cure = "Name a folder of another file system with --results DIR."
        return Finding(check="locks", state="wrong", seen=seen, cure=cure)
    finally:
        with suppress(OSError):
            file.remove()


def _room(free_bytes: int) -> Finding:
    seen = f"{free_bytes / 1e9:.1f} GB free"
    if free_bytes >= SCARCE_BYTES:
        return Finding(check="space", state="ok", seen=seen)
    cure = f"Free some, or n{ANOTHER_FOLDER[1:]}; `sweep run --dry-run` estimates the need."
    full = free_bytes < FULL_BYTES
    return Finding(check="space", state="wrong" if full else "warning", seen=seen, cure=cure)


def _object_store(results: Location) -> Iterator[Finding]:
    file = results.scratch("doctor")
    try:
        file.write(b"one")
        file.write(b"two")
        back = file.read()
        file.remove()
        kept_apart = results.keeps_drivers_apart()
    except StoreError as error:
        cure = "Set them, and `sweep doctor` again."
        yield Finding(check="storage", state="wrong", seen=str(error), cure=cure)
        return
    finally:
        with suppress(OSError):
            file.remove()
    if back != b"two":
        cure = "Name another store with --results: this one returns old data."
        yield Finding(check="storage", state="wrong", seen=f"{results} gave {back!r}", cure=cure)
    else:
        yield Finding(check="storage", state="ok", seen=f"{results}: written, read back, removed")
    if kept_apart:
        seen = "the store honours conditional PUTs, which keep two drivers of a study apart"
        yield Finding(check="locks", state="ok", seen=seen)
    else:
        yield Finding(
            check="locks",
            state="warning",
            seen="the store ignores If-None-Match and If-Match: nothing protects you from two "
            "drivers of one study",
            cure="Start only one driver, or use a store with conditional PUTs.",
        )
