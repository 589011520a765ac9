"""Figures of many orders of one table: totals at the end, and the regret for each amount spent.

Pure. Regrets of figures are in points of accuracy, and shares are parts of what the whole grid of
the order costs (`sweep.replay.accounting.Grid`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sweep.replay.accounting import Moment, Played

Floats = npt.NDArray[np.float64]
Axis = Callable[[Played, Moment], float]

HALF_A_POINT = 0.5
SHARES: Floats = np.arange(1, 201) / 200
"""The budgets, as shares of the grid, at which a curve is read off."""

AXES: Mapping[str, Axis] = {
    "pretrain": lambda p, m: m.pretrain_seconds / p.grid.pretrain_seconds,
    "device": lambda p, m: m.device_seconds / p.grid.device_seconds,
    "reserved": lambda p, m: m.wall_seconds * p.grid.reserved_per_second / p.grid.device_seconds,
    "wall": lambda p, m: m.wall_seconds / p.grid.wall_seconds,
    "probes": lambda p, m: float(m.probes),
}
"""What a budget is measured in -> how much of it was spent at a moment. All but `probes` are shares
of the grid's. `pretrain`: device-seconds of pretraining alone. `device`: with all measures and
probes; idle workers are free. `reserved`: as `device`, but idle workers cost as much as working
ones. `wall`: seconds on the clock of M workers."""


def _at_end(axis: str) -> Callable[[Sequence[Played]], float]:
    return lambda all_: _mean(AXES[axis](p, p.end) for p in all_)


def _to_half_a_point(axis: str) -> Callable[[Sequence[Played]], float]:
    return lambda all_: spent_until(all_, axis, HALF_A_POINT)


FIGURES: Mapping[str, Callable[[Sequence[Played]], float]] = {
    "p_within_1": lambda all_: _mean(p.regret <= p.within + 1e-12 for p in all_),
    "mean_regret": lambda all_: 100 * _mean(p.regret for p in all_),
    "p99_regret": lambda all_: 100 * float(np.quantile([p.regret for p in all_], 0.99)),
    "worst_regret": lambda all_: 100 * max(p.regret for p in all_),
    "mean_test_regret": lambda all_: 100 * _mean(p.test_regret for p in all_),
    "probes": lambda all_: _mean(p.probes for p in all_),
    "probe_seconds": lambda all_: _mean(p.probe_seconds for p in all_),
    "measure_seconds": lambda all_: _mean(p.measure_seconds for p in all_),
    "pretrain_seconds": lambda all_: _mean(p.pretrain_seconds for p in all_),
    "wall_seconds": lambda all_: _mean(p.wall_seconds for p in all_),
    "pretrain_fraction": _at_end("pretrain"),
    "device_seconds_fraction": _at_end("device"),
    "reserved_fraction": _at_end("reserved"),
    "wall_fraction": _at_end("wall"),
    "to_half_a_point": _to_half_a_point("device"),
    "pretrain_to_half_a_point": _to_half_a_point("pretrain"),
    "reserved_to_half_a_point": _to_half_a_point("reserved"),
    "wall_to_half_a_point": _to_half_a_point("wall"),
}
"""Name -> value over the orders of one table. A `fraction` is what the rule had spent of an axis
when it ended, a share of the whole grid's. `to_half_a_point` is the share after which the mean
regret is at most 0.5 points, NaN if it never is."""

RANGES: Mapping[str, tuple[float, float]] = {
    "p_within_1": (0.0, 1.0),
    "mean_test_regret": (-100.0, 100.0),
}
"""The values that a figure can have; all others are 0 or more."""


def mean_curve(all_: Sequence[Played], axis: str, budgets: Floats) -> Floats:
    """Return the mean regret in points at each budget, [B].

    Until the first model of an order is trained and probed, its regret is that of its worst model.

    Args:
        all_: orders of one table by one rule.
        axis: of `AXES`.
        budgets: amounts of the axis, [B].
    """
    total = np.zeros(len(budgets))
    for played in all_:
        spent = [AXES[axis](played, moment) for moment in played.curve]
        regret = np.array([played.worst, *(moment.regret for moment in played.curve)])
        total += regret[np.searchsorted(spent, budgets + 1e-12, side="right")]
    return 100 * total / len(all_)


def first_known(all_: Sequence[Played], axis: str) -> float:
    """Return the smallest budget at which an order has a trained and probed model, else inf."""
    firsts = (AXES[axis](played, played.curve[0]) for played in all_ if played.curve)
    return min(firsts, default=float("inf"))


def spent_until(all_: Sequence[Played], axis: str, bound: float) -> float:
    """Return the smallest budget at which the mean regret is at most `bound` points, else NaN."""
    falls: list[tuple[float, float]] = []
    for played in all_:
        before = played.worst
        for moment in played.curve:
            falls.append((AXES[axis](played, moment), before - moment.regret))
            before = moment.regret
    falls.sort()
    total = sum(played.worst for played in all_)
    allowed = len(all_) * (bound / 100 + 1e-12)
    if total <= allowed:
        return 0.0
    for spent, fall in falls:
        total -= fall
        if total <= allowed:
            return spent
    return float("nan")


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
