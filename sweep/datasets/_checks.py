"""What members refuse, in one wording each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sweep.config.models import DataConfig
from sweep.core.errors import DataError, unknown_name


def refuse_path(config: DataConfig, name: str) -> None:
    """Raise `DataError` where an embedded data set is given a path or told to download."""
    if config.path is not None or config.download:
        given = f"data.path={config.path}" if config.path is not None else "data.download=true"
        raise DataError(
            f"{given} is of no use to data.name={name}, which ships inside scikit-learn. "
            "Leave data.path and data.download out, or data.name, to read what lies there."
        )


def refuse_options(config: DataConfig, name: str, allowed: Collection[str] = ()) -> None:
    """Raise `DataError` for a key of `config.options` that the data set does not have."""
    for key in config.options:
        if key not in allowed:
            if not allowed:
                raise DataError(f"data.options.{key}: data.name={name} has no options.")
            raise DataError(unknown_name(f"The option of data.name={name},", key, allowed))


def existing_path(config: DataConfig) -> Path:
    """Return `config.path`, home expanded; raise `DataError` where nothing readable lies there."""
    if config.path is None:
        raise DataError(f"data.name={config.name} needs the files' place: type data.path=FOLDER.")
    path = Path(config.path).expanduser()
    try:
        path.stat()
        if path.is_dir():
            next(path.iterdir(), None)
    except OSError as error:
        raise DataError(
            f"data.path={config.path} cannot be read on this machine ({error.strerror}; "
            f"it stands for {path.absolute()}). Give a file or folder that can."
        ) from error
    return path
