"""Print what a job prints, until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from sweep.core.errors import Resumable
from sweep.jobs.head import Head, Job, NoAnswer
from sweep.jobs.submit import output_of

SILENT_SECONDS = 60
"""How long a head may not answer until it counts as lost."""
POLL_SECONDS = 1.0


def follow(head: Head, name: str, attempt: str, show: Callable[[str], None]) -> Job:
    """Show the output of a job's attempt until the job has ended, and return the job.

    The stream of Ray's job server can end while the job runs. So the job's status decides, and a
    new stream begins where the last one ended.

    Args:
        head: of the cluster.
        name: of the job.
        attempt: whose output is shown.
        show: takes each piece of text.

    Raises:
        Resumable: the head does not answer for a minute, or knows no such job any more.
    """
    shown = 0
    answered = time.monotonic()
    while True:
        try:
            shown = asyncio.run(_stream(head, name, attempt, shown, show))
            job = head.job(name)
            if job is None:
                raise Resumable(
                    f"The cluster at {head.address} knows no job {name!r} any more. Submitting it "
                    "again goes on with the study."
                )
            answered = time.monotonic()
            if job.ended:
                rest = output_of(head.output(name), attempt)[shown:]
                if rest:
                    show(rest)
                return job
        except NoAnswer as silent:
            if time.monotonic() - answered > SILENT_SECONDS:
                raise Resumable(
                    f"{silent} When the cluster is back, submit the study again: it goes on."
                ) from None
        time.sleep(POLL_SECONDS)


async def _stream(
    head: Head, name: str, attempt: str, shown: int, show: Callable[[str], None]
) -> int:
    """Show what one stream brings beyond the first `shown` letters; return how many are shown."""
    text = ""
    with contextlib.suppress(NoAnswer, ConnectionError):
        async for piece in head.stream(name):
            text += piece
            output = output_of(text, attempt)
            if len(output) > shown:
                show(output[shown:])
                shown = len(output)
    return shown
