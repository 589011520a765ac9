"""Prior curves: what earlier studies say of the candidates of a new one.

A source is what is kept of an earlier study or table: the varied numbers of its candidates, and
their accuracies at each look. A Gaussian process over the axes that both have smooths each look of
a source, and is read off at the new candidates. Only differences between candidates matter: the
rule estimates the mean of each look itself.
Shapes: N candidates of a source, H of the new study, T looks of either, F axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweep.core.history import Floats
from sweep.prediction.axes import place
from sweep.prediction.joint import CONSTANTS, matern, warped

SHAPE_VARIANCE, OWN_VARIANCE = 1.0, 0.5
"""Of a source's accuracies, in points: what its axes explain, and what they do not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One earlier study or table; sources are equal if they are the same object.

    Args:
        name: for reports.
        digest: of the table's candidates and accuracies.
        method: by which its models were trained, "" if unknown.
        axes: name -> value of each of its N candidates, for every varied number but the seed;
            and d where lambda varies, because the accuracy depends on lambda * d.
        fractions: of training, T of them, ascending; the last is 1.
        accuracies: of N candidates at T looks, parts of 1, NaN where there is none.
        measures: name -> label-free measure of N candidates at T looks, NaN where there is none:
            alpha, rankme, loss and whatever else was measured.
    """

    name: str
    digest: str
    method: str
    axes: Mapping[str, Floats]
    fractions: tuple[float, ...]
    accuracies: Floats
    measures: Mapping[str, Floats] = field(default_factory=dict)

    def common(self, names: Sequence[str]) -> list[str]:
        """Return the axes of the source that are among `names`."""
        return [name for name in self.axes if name in names]


def curves(source: Source, axes: Mapping[str, Floats], fractions: Sequence[float]) -> Floats:
    """Return the prior curves of candidates, [H, T], in warped points.

    Args:
        source: an earlier study.
        axes: name -> value of each of H candidates, for every varied number.
        fractions: T of them, ascending, the last 1.

    Returns:
        Zeros where the source has no accuracy, or shares no axis that all candidates have. Beyond
        the last look of the source, its last curve goes on.
    """
    names = [name for name in source.common(tuple(axes)) if np.isfinite(axes[name]).all()]
    if not names or np.isnan(source.accuracies).all():
        return np.zeros((len(next(iter(axes.values()), ())), len(fractions)))
    x_NF, x_HF = _coordinates(source.axes, axes, names)
    points_NT = warped(100 * np.asarray(source.accuracies))
    looks = [
        _smooth(x_NF, points_NT[:, i], x_HF)
        for i in range(points_NT.shape[1])
        if not np.isnan(points_NT[:, i]).all()
    ]
    known = [
        fraction
        for i, fraction in enumerate(source.fractions)
        if not np.isnan(points_NT[:, i]).all()
    ]
    walk_known = -np.power(-np.log10(np.asarray(known)), CONSTANTS.power)
    walk = -np.power(-np.log10(np.asarray(fractions)), CONSTANTS.power)
    at_looks = np.stack(looks)
    return np.stack([np.interp(walk, walk_known, curve) for curve in at_looks.T])


def _smooth(x_NF: Floats, y_N: Floats, x_HF: Floats) -> Floats:
    """Return the posterior mean at the new candidates of a process over one look, [H]."""
    seen = ~np.isnan(y_N)
    k_nn = SHAPE_VARIANCE * matern(x_NF[seen], x_NF[seen]) + OWN_VARIANCE * np.eye(int(seen.sum()))
    one_n = np.ones(int(seen.sum()))
    solved = np.linalg.solve(k_nn, np.stack([y_N[seen], one_n], axis=1))
    mean = float(one_n @ solved[:, 0] / (one_n @ solved[:, 1]))
    weight_n = solved[:, 0] - mean * solved[:, 1]
    return np.asarray(mean + SHAPE_VARIANCE * matern(x_HF, x_NF[seen]) @ weight_n)


def _coordinates(
    old: Mapping[str, Floats], new: Mapping[str, Floats], names: Sequence[str]
) -> tuple[Floats, Floats]:
    """Return both sets of candidates in the same coordinates, [N, F] and [H, F]."""
    both = {name: np.concatenate([old[name], new[name]]) for name in names}
    x = place(both, {})
    split = len(old[names[0]])
    return x[:split], x[split:]
