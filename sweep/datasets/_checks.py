"""Checks that several data sets share, each with one error sentence."""

from __future__ import annotations

from pathlib import Path

from sweep.config.models import DataConfig
from sweep.core.errors import DataError


def refuse_path(config: DataConfig, name: str) -> None:
    """Raise `DataError` if a path or a download is asked of a data set that needs no files."""
    if config.path is not None or config.download:
        given = f"data.path={config.path}" if config.path is not None else "data.download=true"
        raise DataError(
            f"{given} cannot be used with data.name={name}, which is part of scikit-learn. "
            "Leave out data.path and data.download, or leave out data.name to read the files at "
            "data.path."
        )


def existing_path(config: DataConfig) -> Path:
    """Return `config.path` with `~` expanded.

    Raises:
        DataError: no path is given, or it cannot be read.
    """
    if config.path is None:
        raise DataError(
            f"data.name={config.name} needs the folder of its files: type data.path=FOLDER."
        )
    path = Path(config.path).expanduser()
    try:
        path.stat()
        if path.is_dir():
            next(path.iterdir(), None)
    except OSError as error:
        raise DataError(
            f"data.path={config.path} cannot be read on this machine ({error.strerror}; "
            f"its full path is {path.absolute()}). Give a file or folder that can be read."
        ) from error
    return path
