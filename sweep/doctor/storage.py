"""The place of results: can it be written, read back, locked, and is there room."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import filelock

from sweep.core.errors import StoreError
from sweep.doctor.finding import Finding
from sweep.storage import disk as files
from sweep.storage.disk import Place

FULL_BYTES = 100e6
SCARCE_BYTES = 2e9
SLOW_SECONDS = 0.1
"""For one event to be on the disk; a trial writes a handful, and its heartbeats."""


def nearest(results: Place) -> Place:
    """Return the folder itself, or of those above it the first that is there."""
    return _nearest(results) if isinstance(results, Path) else results


def _nearest(results: Path) -> Path:
    results = results.absolute()
    return next(one for one in (results, *results.parents) if one.exists())


def scratch(folder: Place) -> Place:
    """Return a name in the folder that nobody uses and nobody lists."""
    return folder / f".doctor.{secrets.token_hex(6)}.tmp"


def findings(results: Place) -> Iterator[Finding]:
    """Yield what was tried in the place of results; a folder that is not there is not made."""
    if not isinstance(results, Path):
        yield from _objects(results)
        return
    folder = _nearest(results)
    there = f"{results}" if folder == results.absolute() else f"{results} (not made yet: {folder})"
    if not folder.is_dir():
        yield Finding(check="storage", state="wrong", seen=f"{folder} is a file, and no folder",
                      cure="Name another folder with --results DIR.")  # fmt: skip
        return
    file = folder / scratch(folder).name
    try:
        yield _written(file, there)
        yield _locked(folder / scratch(folder).name)
    except OSError as error:
        yield Finding(
            check="storage",
            state="wrong",
            seen=f"{there} cannot be written: {error.strerror or error}",
            cure="Name another folder with --results DIR, or put its permissions right.",
        )
    finally:
        with suppress(OSError):
            files.remove(file)
    yield _room(folder)


def _written(file: Path, there: str) -> Finding:
    """Write, rename over, append with a sync, and read back."""
    files.write(file, b"one")
    files.write(file, b"two")
    began = time.perf_counter()
    files.append(file, b" three", at=3)
    took = time.perf_counter() - began
    if (back := files.read(file)) != b"two three":
        cure = "Name another folder with --results DIR: this file system errs."
        return Finding(check="storage", state="wrong", seen=f"{there} gave {back!r}", cure=cure)
    seen = f"{there}: written, renamed, synced in {1000 * took:.1f} ms, read back"
    if took > SLOW_SECONDS:
        cure = "Each event waits for the disk: choose a faster one with --results DIR."
        return Finding(check="storage", state="warning", seen=seen, cure=cure)
    return Finding(check="storage", state="ok", seen=seen)


def _locked(file: Path) -> Finding:
    """Take a lock twice; the second time must fail."""
    cure = "Start one driver of a study only, or name another folder with --results DIR."
    try:
        with filelock.FileLock(file, timeout=1):
            try:
                with filelock.FileLock(file, timeout=0):
                    seen = "two could lock one file: nothing protects two drivers of one study"
                    return Finding(check="locks", state="wrong", seen=seen, cure=cure)
            except filelock.Timeout:
                return Finding(check="locks", state="ok", seen="a file locked is locked for others")
    except (OSError, NotImplementedError, filelock.Timeout) as error:
        seen = f"files cannot be locked there ({error}), and a study must be"
        return Finding(check="locks", state="wrong", seen=seen,
                       cure="Name a folder of another file system with --results DIR.")  # fmt: skip
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    seen = f"{free / 1e9:.1f} GB free"
    if free >= SCARCE_BYTES:
        return Finding(check="space", state="ok", seen=seen)
    cure = "Free some, or name another folder with --results DIR; `sweep run --dry-run` estimates."
    return Finding(
        check="space", state="wrong" if free < FULL_BYTES else "warning", seen=seen, cure=cure
    )


def _objects(results: Place) -> Iterator[Finding]:
    file = scratch(results)
    try:
        files.write(file, b"one")
        files.write(file, b"two")
        back = files.read(file)
        files.remove(file)
        safe = files.conditional(results)
    except StoreError as error:
        yield Finding(check="storage", state="wrong", seen=str(error),
                      cure="Set them, and `sweep doctor` again.")  # fmt: skip
        return
    finally:
        with suppress(OSError):
            files.remove(file)
    if back != b"two":
        cure = "Name another store with --results: this one returns old data."
        yield Finding(check="storage", state="wrong", seen=f"{results} gave {back!r}", cure=cure)
    else:
        yield Finding(check="storage", state="ok", seen=f"{results}: written, read back, removed")
    if safe:
        seen = "the store keeps the conditions of a PUT, and so two drivers of a study apart"
        yield Finding(check="locks", state="ok", seen=seen)
    else:
        yield Finding(
            check="locks",
            state="warning",
            seen="the store ignores If-None-Match and If-Match: nothing protects you from two "
            "drivers of one study",
            cure="Start but one, or use a store that knows conditional PUTs.",
        )
