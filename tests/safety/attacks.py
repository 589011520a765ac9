"""Attacks that leave a mark when their code runs: pickles and modules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Attack:
    """An object whose pickle makes a folder named `acted` when it is loaded with code allowed.

    Args:
        folder: the folder in which `acted` is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder / "acted"),)


def attack_ran(folder: Path) -> bool:
    """True if an attack made its mark in the folder."""
    return (folder / "acted").exists()


def attacking_module(path: Path, folder: Path, *, more: str = "") -> None:
    """Write a Python module that makes the mark when it is imported.

    Args:
        path: of the module.
        folder: the folder in which `acted` is made.
        more: code after the attack.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = str(folder / "acted")
    path.write_text(f"import os\nos.makedirs({mark!r}, exist_ok=True)\n{more}", encoding="utf-8")
