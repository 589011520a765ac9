"""Writes a report: the page as one file, or its pictures as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweep.core.errors import UserError
from sweep.report import render
from sweep.report.page import page
from sweep.report.pictures import pictures
from sweep.report.study import StudyData
from sweep.storage.location import locate


def write_page(studies: Sequence[StudyData], path: Path) -> int:
    """Write the page and return its size in bytes.

    Raises:
        UserError: the path does not end in .html, or cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path} does not end in .html. Try -o {path.with_suffix('.html')}.")
    data = page(studies).encode()
    try:
        locate(path).write(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
    return len(data)


def write_pictures(studies: Sequence[StudyData], folder: Path, form: str) -> list[Path]:
    """Write each picture into a folder, which is made, and return the files.

    Args:
        studies: at least one.
        folder: where to write.
        form: one of `render.FORMS`.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror or error}.") from error
    files = []
    for name, picture in pictures(studies).items():
        files.append(folder / f"{name}.{form}")
        render.write(picture, files[-1])
    return files
