"""Limits of memory and time on this process that no call of a library can exceed.

DuckDB counts the memory that its operators hold, and checks the time between two batches. A single
call of a function (`list_resize`, `jaro_similarity`) does neither. So the system limits the memory,
and a second thread ends the process if it does not end in time. These limits are for commands that
only read and print: an abrupt end costs nothing there. A child process would need a second start of
Python and a copy of the result, and the same two limits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

SLACK_BYTES = 2**28
PER_CORE_BYTES = 2**25
"""For the threads of two libraries: the system counts their whole stacks."""


@contextmanager
def memory(more_bytes: int) -> Iterator[None]:
    """Let this process take `more_bytes` more than it holds now; a larger allocation fails.

    Libraries then raise `MemoryError` or an error of their own. Only Linux counts the allocations
    of a process in this way; on other systems this does nothing.
    """
    if not psutil.LINUX:
        yield
        return
    process = psutil.Process()
    before = process.rlimit(psutil.RLIMIT_DATA)
    cores = os.cpu_count() or 1
    limit = process.memory_info().data + more_bytes + SLACK_BYTES + PER_CORE_BYTES * cores
    given = [bound for bound in before if bound != psutil.RLIM_INFINITY]
    process.rlimit(psutil.RLIMIT_DATA, (min([limit, *given]), before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_DATA, before)


@contextmanager
def time(seconds: float, *, say: Callable[[], None], exit_code: int) -> Iterator[None]:
    """Call `say` and end this process if the block takes longer than `seconds`."""
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
