"""Ray kills an actor whose node runs out of memory, and Tune would give the whole run up.

Tune 2.60 knows two errors of a call: that of a task, and that of an actor that died. Ray's
`OutOfMemoryError` is neither, although it is the latter. Here it is made one, at the one
place where Tune looks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError


class OutOfMemory(RayActorError):
    """An actor died because its node ran out of memory; `words` are Ray's."""

    def __init__(self, words: str) -> None:
        super().__init__(error_msg=words)

    @property
    def first_line(self) -> str:
        """What happened, without the tables that follow."""
        return str(self).partition("\n")[0]


@contextlib.contextmanager
def death_by_memory() -> Iterator[None]:
    """Let Tune take an `OutOfMemoryError` for the death of one actor."""
    theirs = RayActorManager._actor_task_failed

    def ours(self: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = OutOfMemory(str(exception))
        theirs(self, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = ours  # type: ignore[method-assign]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = theirs  # type: ignore[method-assign]
