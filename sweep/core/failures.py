"""Why an attempt of a trial ended: one line, the traceback, and the cause by which it is counted.

Causes: `exception`, `out of memory`, `hang` (the trial reported nothing for too long),
`worker died` (the trial's process), `node lost` (the trial's machine; not the trial's fault, and
not counted against its retries), `start` (the trial never began: an import failed, or the worker
died before the first step), and `ended` (the trial ended or was removed without a result).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass

from sweep.core.limits import EveryField

NODE_LOST = "node lost"

ERROR_LENGTH = 500
TRACEBACK_LENGTH = 20_000
"""The most characters that go into the log: an exception may quote a whole array."""

EXHAUSTED = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""Parts of the messages of plain RuntimeErrors from allocators: of torch (CPU), CUDA, cuBLAS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure(EveryField):
    """The end of an attempt.

    Args:
        error: one line.
        cause: one of those named at the top of this file.
        traceback: the last `TRACEBACK_LENGTH` characters of it.
    """

    error: str
    cause: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException, *, cause: str = "exception") -> Failure:
        """Return the failure of an exception; the cause is `cause` unless memory ran out."""
        lines = traceback.format_exception(error)
        return cls(
            error=f"{type(error).__name__}: {' '.join(_words(error).split())}"[:ERROR_LENGTH],
            cause="out of memory" if any(map(_exhausted, _chain(error))) else cause,
            traceback="".join(lines)[-TRACEBACK_LENGTH:],
        )


UNPROBED = Failure(error="the trial ended unprobed", cause="exception")
"""The failure of a trial that was to be probed and ended before its `probed` observation."""


class TrialError(Exception):
    """Carries a failure from a worker to the driver.

    An exception of a trial's own may not survive pickling: its class may need other arguments
    than it passed on, or be unknown to the driver.
    """

    def __init__(self, error: str, cause: str, traceback: str) -> None:
        super().__init__(error, cause, traceback)  # pickle makes the copy from these arguments
        self.failure = Failure(error=error, cause=cause, traceback=traceback)

    @classmethod
    def of(cls, failure: Failure) -> TrialError:
        """Return the exception that carries a failure."""
        return cls(failure.error, failure.cause, failure.traceback)


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # `__str__` of a user's exception may raise anything
        return "(its message cannot be read)"


def _exhausted(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True  # torch and Ray each have a class of the latter name
    return isinstance(error, RuntimeError) and any(part in _words(error) for part in EXHAUSTED)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from."""
    known = set[int]()
    link: BaseException | None = error
    while link is not None and id(link) not in known:
        yield link
        known.add(id(link))
        link = link.__cause__
