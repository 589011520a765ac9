"""Candidates as points in a space in which close candidates have like accuracies.

Each varied field is one coordinate, divided by its length scale: fields of known effect in their
own units, other fields by their range. `lambd` becomes lambda * d where both vary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sweep.core.history import Floats, History, Names
from sweep.prediction.surrogate import scale, varies


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """Length scales.

    Args:
        d: of log10 d.
        ratio: of log10 (lambda d).
        other: of every other field, as a part of its range.
    """

    d: float = 2.4
    ratio: float = 1.0
    other: float = 0.31


LENGTHS = Lengths()


def coordinates(history: History, lengths: Lengths = LENGTHS) -> Floats:
    """Return the coordinates of every candidate, [H, F]; F is 0 if nothing but the seed varies."""
    numbers = {name: history.column(name) for name in history.varied}
    names = {field: history.names(field) for field in history.named if field not in numbers}
    if not numbers and not names:
        return np.zeros((len(history), 0))  # one candidate: nothing varies
    return place(numbers, names, lengths)


def place(
    numbers: Mapping[str, Floats], names: Mapping[str, Names], lengths: Lengths = LENGTHS
) -> Floats:
    """Return coordinates, [H, F]. Numbers that span a factor of ten are taken in logarithms.

    Args:
        numbers: field -> value of each of H candidates, NaN where it has none.
        names: field -> name of each; two names that differ are one length scale apart.
        lengths: the length scales.
    """
    varied = {n: column for n, column in numbers.items() if n != "seed" and varies(column)}
    columns: list[Floats] = []
    lambd, d = varied.get("lambd"), varied.get("d")
    if lambd is not None and (lambd > 0).all() and (d is None or (d > 0).all()):
        columns.append(np.log10(lambd if d is None else lambd * d) / lengths.ratio)
        del varied["lambd"]
    if d is not None and (d > 0).all():
        columns.append(np.log10(d) / lengths.d)
        del varied["d"]
    columns += [scale(column, column) / lengths.other for column in varied.values()]
    count = len(next(iter([*numbers.values(), *names.values()]), ()))
    for column in names.values():
        if len(set(column)) > 1:
            columns += [(column == name) / np.sqrt(2.0) for name in sorted(set(column))]
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))
