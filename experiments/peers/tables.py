"""Complete tables as peers see them: candidates as points of a unit cube, looks as whole numbers.

The columns of a table: `sweep.replay.landscape_rows`. `experiments/peers/` does not import
`sweep`, because each script has its own environment, so this file reads the tables again.
`tests/experiments` checks that the candidates and the orders are those of `sweep replay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RECORDED = frozenset(
    {
        "trial_id", "fraction", "loss", "alpha", "alpha_r2", "rankme", "accuracy", "test_accuracy",
        "accuracy_images", "pretrain_seconds", "measure_seconds", "probe_seconds",
    }
)  # fmt: skip
"""Columns that are never a varied field."""
LOG_RATIO = 10.0
"""A positive field is used in its logarithm if its largest value is this many times its smallest.
As in `sweep.prediction.surrogate`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The candidates of a table, C of them, with L looks.

    Args:
        name: of the table.
        trial_ids: of the candidates.
        axes: the varied fields without `seed`: two seeds of one point are two candidates there.
        values_CA: values of the varied fields; a text counts as its place in the sorted texts.
        fractions: of training, at which candidates are looked at, ascending; the last is 1.
        accuracy_CL: validation accuracy, 0 to 1. A model that broke has 0.
        pretrain_CL: device-seconds of training from the start to the look.
        probe_CL: device-seconds of the probe at the look.
    """

    name: str
    trial_ids: tuple[str, ...]
    axes: tuple[str, ...]
    values_CA: Floats
    fractions: tuple[float, ...]
    accuracy_CL: Floats
    pretrain_CL: Floats
    probe_CL: Floats

    def __len__(self) -> int:
        return len(self.trial_ids)

    @property
    def final(self) -> Floats:
        """Accuracy of each candidate at the end of training, shape (C,)."""
        return self.accuracy_CL[:, -1]

    @property
    def worst(self) -> float:
        """The lowest final accuracy of a model that did not break."""
        return float(self.final[self.final > 0].min())

    def part(self, rows: Sequence[int]) -> Table:
        """Return some of the candidates, in the order of `rows`."""
        index = np.asarray(rows)
        return replace(
            self,
            trial_ids=tuple(self.trial_ids[row] for row in rows),
            values_CA=self.values_CA[index],
            accuracy_CL=self.accuracy_CL[index],
            pretrain_CL=self.pretrain_CL[index],
            probe_CL=self.probe_CL[index],
        )

    def in_order(self, which: int, *, leave_out: float, seed: int = 0) -> Table:
        """Return the candidates of order `which`, as `sweep replay --seed SEED` draws them."""
        kept = max(1, round((1 - leave_out) * len(self)))
        rng = np.random.default_rng([seed, 0, which])
        while True:
            part = self.part(rng.permutation(len(self))[:kept].tolist())
            if (part.final > 0).any():
                return part

    def unit(self, values: Floats | None = None) -> Floats:
        """Return points, by default the candidates, mapped so that the candidates span [0, 1].

        A wide field is mapped in its logarithm. Shapes (..., A) to (..., A).
        """
        column, points = self.values_CA, self.values_CA if values is None else values
        low, high = column.min(axis=0), column.max(axis=0)
        wide = (low > 0) & (high >= LOG_RATIO * np.where(low > 0, low, 1.0))
        safe = np.where(wide, points, 1.0)
        points = np.where(wide, np.log(safe), points)
        low = np.where(wide, np.log(np.where(wide, low, 1.0)), low)
        high = np.where(wide, np.log(np.where(wide, high, 1.0)), high)
        return np.asarray((points - low) / np.where(high > low, high - low, 1.0))

    @property
    def replicates(self) -> NDArray[np.int64]:
        """For each candidate, how many candidates of the same values come before it, (C,)."""
        before: dict[tuple[float, ...], int] = {}
        numbers = []
        for values in self.values_CA.tolist():
            numbers.append(before.get(tuple(values), 0))
            before[tuple(values)] = numbers[-1] + 1
        return np.array(numbers)

    @property
    def resources(self) -> tuple[int, ...]:
        """The looks as whole numbers in the ratio of their fractions: 1/8, 1/4, 1 as 1, 2, 8."""
        fractions = np.array(self.fractions)
        for whole in range(1, 1000):
            if np.abs(fractions * whole - np.round(fractions * whole)).max() < 1e-6 * whole:
                return tuple(int(r) for r in np.round(fractions * whole))
        return tuple(int(r) for r in np.maximum(1, np.round(fractions * 1000)))

    def rungs(self, eta: int) -> tuple[int, ...]:
        """Return the looks that serve resources 1, eta, eta^2 and so on, and the last look.

        A rung is served by the first look that has reached it.
        """
        resources = self.resources
        looks = {len(resources) - 1}
        rung = 1
        while rung < resources[-1]:
            looks.add(next(i for i, r in enumerate(resources) if r >= rung))
            rung *= eta
        return tuple(sorted(looks))


def read(path: Path) -> Table:
    """Read a table; raise `ValueError` if its candidates do not share their looks."""
    by_id: dict[str, list[dict[str, object]]] = {}
    for row in pyarrow.parquet.read_table(path).to_pylist():
        by_id.setdefault(str(row["trial_id"]), []).append(row)
    candidates = [sorted(rows, key=_fraction) for rows in by_id.values()]
    fractions = tuple(_fraction(row) for row in max(candidates, key=len))
    if fractions[-1] != 1:
        raise ValueError(f"{path} has no row at fraction 1.")
    for rows in candidates:
        if tuple(map(_fraction, rows)) != fractions[: len(rows)]:
            raise ValueError(f"{path}: candidate {rows[0]['trial_id']} has looks of its own.")
    fixed = [
        name
        for name in candidates[0][0]
        if name not in RECORDED
        and all(row.get(name) == rows[0].get(name) for rows in candidates for row in rows)
    ]
    axes = [n for n in fixed if n != "seed" and len({str(rows[0][n]) for rows in candidates}) > 1]
    looks = len(fractions)
    accuracy = [_filled(rows, "accuracy", looks, 0.0) for rows in candidates]
    pretrain = [_filled(rows, "pretrain_seconds", looks, None) for rows in candidates]
    probe = [_filled(rows, "probe_seconds", looks, 0.0) for rows in candidates]
    return Table(
        name=path.stem,
        trial_ids=tuple(by_id),
        axes=tuple(axes),
        values_CA=np.array([_codes([rows[0][n] for rows in candidates]) for n in axes]).T,
        fractions=fractions,
        accuracy_CL=np.array(accuracy),
        pretrain_CL=np.array(pretrain),
        probe_CL=np.array(probe),
    )


def _fraction(row: dict[str, object]) -> float:
    return float(str(row["fraction"]))


def _filled(
    rows: list[dict[str, object]], name: str, looks: int, missing: float | None
) -> list[float]:
    """Return a column of one candidate; a missing value is `missing`, or the value before."""
    values: list[float] = []
    for look in range(looks):
        value = rows[look].get(name) if look < len(rows) else None
        before = values[-1] if values else 0.0
        usual = before if missing is None else missing
        values.append(usual if value is None else float(str(value)))
    return values


def _codes(values: list[object]) -> list[float]:
    """Return numbers as they are, and texts as their places in the sorted texts."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [float(str(value)) for value in values]
    texts = sorted({str(value) for value in values})
    return [float(texts.index(str(value))) for value in values]


class Untried:
    """The candidates of a part that have not begun.

    A peer proposes a point of the unit cube. The nearest candidate that has not begun is taken,
    so that no candidate is trained twice.
    """

    def __init__(self, part: Table) -> None:
        self._unit_CA = part.unit()
        self._left = np.ones(len(part), dtype=bool)

    def __len__(self) -> int:
        return int(self._left.sum())

    def first(self) -> int:
        """Take the first candidate of the order; return its row."""
        return self._take(int(np.argmax(self._left)))

    def nearest(self, point: Sequence[float]) -> int:
        """Take the candidate nearest to a point; return its row."""
        distance = ((self._unit_CA - np.asarray(point)) ** 2).sum(axis=1)
        return self._take(int(np.argmin(np.where(self._left, distance, np.inf))))

    def _take(self, row: int) -> int:
        if not self._left[row]:
            raise IndexError("Every candidate has begun.")
        self._left[row] = False
        return row
