"""The pictures of a report: Vega-Lite specifications as plain dicts, and the rows that they show.

A picture is a function of the studies that returns a `Picture`, or None if there is nothing to
show. `base` holds what pictures share. To add one, write a file and name its function in PICTURES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sweep.report.pictures.against_alpha import against_alpha
from sweep.report.pictures.base import Picture
from sweep.report.pictures.budget import budget
from sweep.report.pictures.curves import curves
from sweep.report.pictures.landscape import landscape
from sweep.report.pictures.parallel import parallel
from sweep.report.pictures.spectra import spectra
from sweep.report.pictures.workers import workers
from sweep.report.study import StudyData

PICTURES: Mapping[str, Callable[[Sequence[StudyData]], Picture | None]] = {
    "budget": budget,
    "landscape": landscape,
    "alpha": against_alpha,
    "curves": curves,
    "spectra": spectra,
    "parallel": parallel,
    "timeline": workers,
}
"""In the order of the page."""


def pictures(studies: Sequence[StudyData]) -> dict[str, Picture]:
    """Return every picture for which the studies hold something to show."""
    made = {name: make(studies) for name, make in PICTURES.items()}
    return {name: picture for name, picture in made.items() if picture is not None}
