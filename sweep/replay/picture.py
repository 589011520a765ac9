"""Write a figure of Matplotlib as a file, without the user's own settings and without a date.

Matplotlib draws without pyplot, so that equal tables give equal files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from sweep.core.errors import UserError
from sweep.core.text import one_line
from sweep.storage.location import locate

UNDATED: Mapping[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "png": {},
    "pdf": {"CreationDate": None},
}
"""File formats, and the metadata that leaves the date out."""
STYLE = {
    "svg.hashsalt": "sweep",  # without it the ids in each file are random
    "font.size": 8.5,
    "axes.titlesize": "medium",
    "figure.titlesize": "x-large",
    "figure.constrained_layout.w_pad": 0.08,  # inches
    "figure.constrained_layout.h_pad": 0.06,
}


def form_of(path: Path) -> str:
    """Return the file format that a path's ending names; `UserError` if it is not one of ours."""
    form = path.suffix.lower().removeprefix(".")
    if form not in UNDATED:
        raise UserError(f"{path} does not end in .svg, .png or .pdf.")
    return form


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it; `UserError` if the path has another ending or cannot be written.

    Args:
        draw: makes the figure; it is called with our settings.
        path: ends in .svg, .png or .pdf.
    """
    form = form_of(path)
    sink = io.BytesIO()
    with style.context(["default", STYLE]):
        draw().savefig(sink, format=form, dpi=150, metadata=UNDATED[form])
    try:
        locate(path).write(sink.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}.") from error


def shown(text: str) -> str:
    """Return a name for display: on one line, at most 48 characters, `lambda` for `lambd`."""
    text = "lambda" if text == "lambd" else one_line(text)
    return text if len(text) <= 48 else text[:47] + "…"
