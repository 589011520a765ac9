"""Candidates as points in a space in which close candidates have like accuracies.

Each varied field is one coordinate, divided by its length scale: fields of known effect in their
own units, other fields by their range. `lambd` becomes lambda * d where both vary.
"""

from __future__ import annotations

import numpy as np

from sweep.core.history import Floats, History
from sweep.prediction.surrogate import scale, varies

D_DECADES, RATIO_DECADES = 1.79, 0.70
"""Length scales of log10 d and of log10 (lambda d), fitted to complete tables."""
RANGES = 0.7
"""Length scale of every other field, as a part of its range."""


def coordinates(history: History) -> Floats:
    """Return the coordinates of every candidate, [H, F]; F is 0 where nothing but the seed varies.

    Numbers that span a factor of ten or more are taken in logarithms. Two names that differ are one
    length scale apart.
    """
    numbers = {name: history.column(name) for name in history.varied if name != "seed"}
    numbers = {name: column for name, column in numbers.items() if varies(column)}
    columns: list[Floats] = []
    lambd, d = numbers.pop("lambd", None), numbers.get("d")
    if lambd is not None:
        ratio = lambd if d is None else lambd * d
        columns.append(_decades(ratio) / RATIO_DECADES if (ratio > 0).all() else _part(lambd))
    if d is not None and (d > 0).all():
        columns.append(_decades(numbers.pop("d")) / D_DECADES)
    columns += [_part(column) for column in numbers.values()]
    for field in history.named:
        names = history.names(field)
        if field not in numbers and len(set(names)) > 1:
            columns += [(names == name) / np.sqrt(2.0) for name in sorted(set(names))]
    return np.stack(columns, axis=1) if columns else np.zeros((len(history), 0))


def _decades(column: Floats) -> Floats:
    return np.asarray(np.log10(column))


def _part(column: Floats) -> Floats:
    return scale(column, column) / RANGES
