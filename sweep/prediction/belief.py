"""What is believed of a study's candidates, from its history and from earlier studies.

A thin layer over `sweep.prediction.joint`: it takes the columns from a history, leaves out what
cannot become the best, and keeps the fit small enough for a decision within a second.
Shapes: H candidates, T looks (the last is the end of training), S draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sweep.core.history import Floats, History, State
from sweep.prediction.axes import Lengths, coordinates
from sweep.prediction.earlier import Source, curves
from sweep.prediction.joint import Belief, Constants, believe
from sweep.prediction.surrogate import Rows

DRAWS = 256
"""Joint draws of all accuracies, from which chances are counted."""
MOST_BEGUN, MOST_PENDING = 250, 200
"""Candidates of a fit: of those that have begun the ones that are nearest to the best of their last
look, of the others the first in order. The fit takes cubic time in both."""
MOST_LOOKS = 2
"""Looks of each candidate that a fit takes, the last ones, where more than `MOST_BEGUN` began."""

_Curves = tuple[tuple[str, bytes], ...]
_Axes = tuple[tuple[str, bytes], ...]


def believed(
    history: History,
    *,
    sources: Sequence[Source],
    seed: int,
    library: tuple[Constants, ...],
    lengths: Lengths,
) -> tuple[Belief, int]:
    """Return the belief, and how many accuracies were seen.

    A candidate that is left out of the fit has chance 0. Accuracies outside 0 to 1 do not count.

    Args:
        history: of the study.
        sources: earlier studies.
        seed: of the draws.
        library, lengths: the constants of the model.
    """
    fractions = [f for f in history.fractions if f"accuracy@{f:g}" in history.columns]
    looks = [history.column(f"accuracy@{fraction:g}") for fraction in fractions]
    points_HT = 100 * np.stack([*looks, history.column("accuracy")], axis=1)
    points_HT[(points_HT < 0) | (points_HT > 100)] = np.nan
    x_HF = coordinates(history, lengths)
    kept = np.flatnonzero(~_gone(history, points_HT))
    belief = _cached(
        points_HT.tobytes(),
        (*fractions, 1.0),
        x_HF.tobytes(),
        x_HF.shape,
        history.column("seed").tobytes(),
        tuple(kept.tolist()),
        seed,
        library,
        _priors(history, sources, (*fractions, 1.0)),
    )
    return belief, int((~np.isnan(points_HT)).sum())


def _gone(history: History, points_HT: Floats) -> npt.NDArray[np.bool_]:
    """Return of which candidates nothing is expected: broken, failed, no number, or too late.

    A trial that the rule stopped, and whose chance is known, stays: what is left to be gained
    is the same after a crash amid the last verdicts.
    """
    gone_H = (history.state >= State.STOPPED) & np.isnan(history.column("chance"))
    gone_H |= (history.state == State.PROBED) & np.isnan(points_HT[:, -1])
    if not history.may_begin:
        gone_H |= history.state == State.PENDING
    return gone_H


def _priors(history: History, sources: Sequence[Source], fractions: tuple[float, ...]) -> _Curves:
    """Return the prior curves of every candidate, by the names of their sources."""
    axes = tuple(
        (name, history.column(name).tobytes()) for name in history.varied if name != "seed"
    )
    named = {
        source.name: _curve(source, axes, fractions)
        for source in sources
        if source.common(history.varied)
    }
    if len(named) > 1:
        named["all sources"] = np.mean(list(named.values()), axis=0)
    return tuple((name, curve.tobytes()) for name, curve in named.items())


@lru_cache(maxsize=8)
def _cached(
    points: bytes,
    fractions: tuple[float, ...],
    x: bytes,
    shape: tuple[int, int],
    seeds: bytes,
    kept: tuple[int, ...],
    seed: int,
    library: tuple[Constants, ...],
    priors: _Curves,
) -> Belief:
    """Return the belief; the same history is asked about several times in a row."""
    count = shape[0]
    points_HT = np.frombuffer(points).reshape(count, len(fractions))
    rows, shown_HT = _few_enough(points_HT, np.array(kept, dtype=np.int64))
    belief = believe(
        shown_HT[rows],
        fractions,
        np.frombuffer(x).reshape(shape)[rows],
        np.frombuffer(seeds)[rows],
        priors={
            name: np.frombuffer(curve).reshape(points_HT.shape)[rows] for name, curve in priors
        },
        draws_SH=_draws(count, seed)[:, rows],
        library=library,
    )
    chance_H, mean_H = np.zeros(count), np.full(count, -np.inf)
    chance_H[rows], mean_H[rows] = belief.chance_H, belief.mean_H
    return Belief(mean_H=mean_H, chance_H=chance_H, left=belief.left, weights=belief.weights)


def _few_enough(points_HT: Floats, kept: Rows) -> tuple[Rows, Floats]:
    """Return the candidates that a fit takes, in order, and what it sees of them."""
    seen_HT = ~np.isnan(points_HT)
    begun = kept[seen_HT[kept].any(1)]
    pending = kept[~seen_HT[kept].any(1)][:MOST_PENDING]
    if len(begun) <= MOST_BEGUN:
        return np.sort(np.concatenate([begun, pending])), points_HT
    last = points_HT.shape[1] - 1 - seen_HT[begun, ::-1].argmax(1)
    best_T = np.nanmax(np.where(seen_HT, points_HT, -np.inf), axis=0)
    below = best_T[last] - points_HT[begun, last]
    # The end of training comes first: what is known there decides what is left to gain.
    order = np.lexsort((below, last != points_HT.shape[1] - 1))
    begun = begun[order[:MOST_BEGUN]]
    later_HT = np.cumsum(seen_HT[:, ::-1], axis=1)[:, ::-1]
    shown_HT = np.where(later_HT <= MOST_LOOKS, points_HT, np.nan)
    return np.sort(np.concatenate([begun, pending])), shown_HT


@lru_cache(maxsize=64)
def _curve(source: Source, axes: _Axes, fractions: tuple[float, ...]) -> Floats:
    return curves(source, {name: np.frombuffer(column) for name, column in axes}, fractions)


@lru_cache(maxsize=2)
def _draws(count: int, seed: int) -> Floats:
    return np.random.default_rng([seed, 0x7ACE]).standard_normal((DRAWS, count))
