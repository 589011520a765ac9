"""Links on a disk lead out of a folder; a study writes into its own alone.

Whoever packs an archive of a study may put a link in it: `log.txt -> ~/.bashrc` would be appended
to. So a folder is looked through before anything is written there. An object store has no links.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sweep.core.errors import StudyError
from sweep.storage.disk import Place


def is_link(place: Place) -> bool:
    """Return whether a place leads elsewhere; an object store has no links."""
    return isinstance(place, Path) and place.is_symlink()


def refuse_links(folder: Place, *, itself: bool = False) -> None:
    """Raise `StudyError` if a link lies in the folder: what is written there must stay there.

    Args:
        folder: of a study, or of one of its trials; it may be missing.
        itself: refuse a folder that is a link, too.
    """
    if not isinstance(folder, Path):
        return
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        links = [Path(entry.path) for entry in entries if entry.is_symlink()]
        if itself and folder.is_symlink():
            links.append(folder)
        if links:
            raise StudyError(
                f"{links[-1]} is a link to {links[-1].readlink()}, and a study writes into its own "
                "folder alone. Put what it leads to in its place."
            )
