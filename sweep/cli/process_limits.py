"""Bounds on this process that no library's call can exceed: its memory, and its time.

A database counts what its operators hold, and looks at the clock between two batches; one
call of one function (`list_resize`, `levenshtein`) does neither. So the system bounds the
memory, and a second thread ends the process where it does not end by itself. For commands
that read and print; what must not be cut short has no place in here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

SLACK = 2**28
PER_CORE = 2**25  # of two libraries' threads: their stacks count, used or not


@contextmanager
def memory(more_bytes: int) -> Iterator[None]:
    """Let this process take `more_bytes` more than it holds now; an allocation beyond fails.

    Libraries then raise `MemoryError` or an error of their own. Linux alone counts what
    matters here; elsewhere this does nothing.
    """
    held = _held()
    if held is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    bound = held + more_bytes + SLACK + PER_CORE * (os.cpu_count() or 1)
    resource.setrlimit(resource.RLIMIT_DATA, (_least(bound, *before), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def time(seconds: float, *, say: Callable[[], None], exit_code: int) -> Iterator[None]:
    """End this process, after `say`, where what is within takes longer than `seconds`."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            try:
                say()
            finally:
                os._exit(exit_code)  # nothing else ends a thread that is deep in a library

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _held() -> int | None:
    """Return the bytes of this process that count as data; None where nobody says."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        found = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return int(found["VmData"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _least(bound: int, *given: int) -> int:
    return min([bound, *(limit for limit in given if limit != resource.RLIM_INFINITY)])
