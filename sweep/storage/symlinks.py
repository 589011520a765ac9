"""A symbolic link on a disk leads out of a folder, and a study writes only into its own folder.

An archive of a study may contain a link: with `log.txt -> ~/.bashrc` a study would append to the
user's file. So a folder is searched for links before anything is written there.
"""

from __future__ import annotations

from sweep.core.errors import StudyError
from sweep.storage.location import Location


def refuse_links(folder: Location, *, itself: bool = False) -> None:
    """Raise `StudyError` if there is a link in the folder; an object store has no links.

    Args:
        folder: of a study, or of one of its trials; it may be missing.
        itself: also refuse a folder that is a link.
    """
    for link, target in reversed(folder.links(itself=itself)):
        raise StudyError(
            f"{link} is a link to {target}, and a study writes only into its own folder. "
            f"Replace the link by a copy of {target}."
        )
