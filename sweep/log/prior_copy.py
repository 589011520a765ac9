"""The copy of a study's prior in its folder: `prior.json`.

It is written before the log's first event, which holds its digest. From then on the study reads the
copy and never the sources again, so a resume and `sweep replay --verify` decide as the study did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.core.errors import StudyError
from sweep.core.events import StudyBegan
from sweep.log.study_folder import prior_file
from sweep.prediction.earlier import Source
from sweep.prediction.prior_file import digest_of, of_bytes, to_bytes
from sweep.storage.location import Location

KEY = "prior"
"""Of `StudyBegan.chosen`: the digest of the copy, and the names of its sources."""


def write(folder: Location, sources: Sequence[Source]) -> dict[str, Any]:
    """Write the copy, and return what the first event says of it; nothing without a source."""
    if not sources:
        return {}
    data = to_bytes(sources)
    prior_file(folder).write(data)
    return {KEY: {"digest": digest_of(data), "sources": [source.name for source in sources]}}


def read(folder: Location, began: StudyBegan) -> tuple[Source, ...]:
    """Return the sources of a study's prior, none where its first event names none.

    Raises:
        StudyError: the copy is missing, or it is not the one that the study began with.
    """
    if KEY not in began.chosen:
        return ()
    chosen, file = began.chosen[KEY], prior_file(folder)
    cure = "Put it back from a copy of the folder, or start another study with `sweep run`."
    try:
        data = file.read()
    except OSError:
        raise StudyError(
            f"The study {folder} began with a prior, and its copy {file} cannot be read. {cure}"
        ) from None
    if not isinstance(chosen, Mapping) or chosen.get("digest") != digest_of(data):
        raise StudyError(
            f"The prior {file} is not the one that the study began with: its digest differs from "
            f"that in the log. {cure}"
        )
    return of_bytes(str(file), data)
