"""Why an attempt of a trial ended: in a line, in full, and the cause by which it is counted.

Causes: `exception`, `out of memory`, `hang` (no sign of life), `worker died` (its process),
`node lost` (its machine; not the trial's fault, and not counted against its retries), and
`start` (it never began: an import that fails, a worker that dies before the first step).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass

NODE_LOST = "node lost"

ERROR_LENGTH = 500
TRACEBACK_LENGTH = 20_000
"""Characters that go into the log: an exception may quote a whole array."""

EXHAUSTED = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""Words of allocators that raise a plain RuntimeError: torch's on a CPU, CUDA's, cuBLAS's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The end of an attempt.

    Args:
        error: one line.
        cause: see above.
        traceback: in full, as far as it is of use.
    """

    error: str
    cause: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException, *, cause: str = "exception") -> Failure:
        """Return what an exception comes to; `cause` holds unless memory ran out."""
        lines = traceback.format_exception(error)
        return cls(
            error=f"{type(error).__name__}: {' '.join(_words(error).split())}"[:ERROR_LENGTH],
            cause="out of memory" if any(map(_exhausted, _chain(error))) else cause,
            traceback="".join(lines)[-TRACEBACK_LENGTH:],
        )


UNPROBED = Failure(error="the trial ended unprobed", cause="exception")
"""A generator that came to its end although it was asked to go on."""


class TrialError(Exception):
    """Carries a failure from a worker to the driver, whatever its exception was made of.

    An exception of a trial's own may not survive the way: its class may want other arguments
    than it passed on, or be unknown to the driver.
    """

    def __init__(self, error: str, cause: str, traceback: str) -> None:
        super().__init__(error, cause, traceback)  # what it is pickled by
        self.failure = Failure(error=error, cause=cause, traceback=traceback)

    @classmethod
    def of(cls, failure: Failure) -> TrialError:
        """Return the exception that carries a failure."""
        return cls(failure.error, failure.cause, failure.traceback)


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its `__str__` is somebody else's code
        return "(its message cannot be read)"


def _exhausted(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True  # the latter is torch's, and Ray's
    return isinstance(error, RuntimeError) and any(part in _words(error) for part in EXHAUSTED)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from."""
    seen = set[int]()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__
