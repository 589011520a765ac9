"""What a study does now: the log's last word, and whether its driver lives."""

from __future__ import annotations

import pyarrow as pa

from sweep.storage.lease import DEAD_SECONDS, holder_of, noted
from sweep.storage.location import Location


def status_of(folder: Location, logged: str) -> str:
    """Return a study's status.

    Args:
        folder: of the study.
        logged: created, running or finished: the status by its log, which a driver that died cannot
            change.

    Returns:
        `created` (no trial began), `running`, `stopped` (its driver ended before the study did, and
        a resume goes on), `dead` (its driver was killed, or is silent), or `finished`.
    """
    if logged == "finished":
        return logged
    try:
        holder, silent_seconds = noted(folder)
        lives = holder is not None and holder_of(folder) is not None
    except OSError:  # the store does not answer, or the folder may not be locked
        return logged
    if holder is None:
        return "stopped" if logged == "running" else logged
    silent = silent_seconds is not None and silent_seconds > DEAD_SECONDS
    return "running" if lives and not silent else "dead"


def with_status_now(studies: pa.Table, folder: Location) -> pa.Table:
    """Return the table `studies` with each status as it is now."""
    column = [status_of(folder, str(logged)) for logged in studies["status"].to_pylist()]
    place = studies.schema.get_field_index("status")
    return studies.set_column(place, studies.schema.field(place), pa.array(column, pa.string()))
