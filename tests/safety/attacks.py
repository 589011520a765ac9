"""What an attacker brings: pickles that act, and a look whether one did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Acts:
    """Unpickled by anybody who allows code, it makes a folder named `acted`.

    Args:
        folder: in which.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder / "acted"),)


def acted(folder: Path) -> bool:
    """True if an attack made its mark in the folder."""
    return (folder / "acted").exists()


def module_that_acts(path: Path, folder: Path, *, more: str = "") -> None:
    """Write a Python module that makes the mark when it is imported."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = str(folder / "acted")
    path.write_text(f"import os\nos.makedirs({mark!r}, exist_ok=True)\n{more}", encoding="utf-8")
