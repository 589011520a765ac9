"""What a history says without labels of each candidate, as features of a fitted response.

Rules and proposers share it: the same numbers decide who is probed and who is pretrained next.
The response itself is `sweep.prediction.response`; when a gain is worth its price is for its users.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from sweep.core.history import Floats, History, State
from sweep.prediction.response import ranked

Rows = npt.NDArray[np.int64]

CRITERIA = ("alpha", "rankme", "alpha_r2", "loss")

WIDE = 10.0
"""Ratio of a field's largest to its smallest value from which its logarithm is looked at."""

ENOUGH = 3
"""Trials whose seconds are known before those of others are told apart."""


def fields(history: History, rows: Rows) -> dict[str, Floats]:
    """Return the feature sets that are known of a candidate before it is begun."""
    groups = _groups(history, rows)
    empty: Floats = np.zeros((len(rows), 0))
    return {"nothing": empty} | {name: ranked(columns) for name, columns in groups.items()}


def features(
    history: History, rows: Rows, *, at: str = "", everything: bool = True
) -> dict[str, Floats]:
    """Return the feature sets of measured models, each [len(rows), F], ranked among `rows`.

    Args:
        history: of the study.
        rows: whose criteria are known.
        at: "" for the end of training, or `@FRACTION`.
        everything: the varied fields, the loss and the fit of alpha, too; otherwise alpha and
            RankMe alone.
    """
    criteria = {name: history.column(name + at)[rows] for name in CRITERIA}
    known = {name: c for name, c in criteria.items() if not np.isnan(c).all()}
    both = [known[name] for name in ("alpha", "rankme") if name in known]
    groups = _groups(history, rows)
    sets: dict[str, list[Floats]] = {"nothing": []}
    sets |= {name: [known[name]] for name in ("alpha", "rankme") if name in known}
    if len(both) == 2:
        sets["alpha and rankme"] = both
    if not everything:
        groups = {}
    for name, columns in groups.items():
        sets[name] = columns
        if "alpha" in known:
            sets[f"alpha and {name}"] = [known["alpha"], *columns]
    if everything and len(known) > 2:
        sets["everything"] = [*known.values(), *itertools.chain(*groups.values())]
    empty: Floats = np.zeros((len(rows), 0))
    return {name: ranked(columns) if columns else empty for name, columns in sets.items()}


def _groups(history: History, rows: Rows) -> dict[str, list[Floats]]:
    varied = {name: history.column(name)[rows] for name in history.varied if name != "seed"}
    varied = {name: column for name, column in varied.items() if varies(column)}
    groups = {"the varied fields": list(varied.values())} if varied else {}
    if "d" in varied and "lambd" in varied:
        # The better-conditioned axis: over a 128-fold range of d, the authors' best lambda
        # keeps lambda * d between 1.5 and 6.6.
        with np.errstate(over="ignore"):  # only its order counts
            groups["lambda * d"] = [varied["lambd"] * varied["d"]]
    return groups


def seconds(history: History, rows: Rows) -> Floats:
    """Return the device-seconds that candidates may take, [len(rows)].

    Their logarithm is fitted linearly over the varied fields of the probed ones, with a ridge
    (d makes a projector dear, lambda costs nothing); all alike before three are probed.
    """
    done = history.rows(State.PROBED)
    spent = history.column("device_seconds")[done]
    done, spent = done[spent > 0], spent[spent > 0]
    if len(done) < ENOUGH:
        return np.ones(len(rows))
    names = [name for name in history.varied if varies(history.column(name))]
    scaled = [scale(history.column(name), history.column(name)) for name in names]
    x_HF = np.stack([np.ones(len(history)), *scaled], axis=1)
    x_nF, target_n = x_HF[done], np.log(spent)
    centre = target_n.mean()
    ridge_FF = 0.1 * np.diag([0.0] + [1.0] * len(names)) + 1e-9 * np.eye(x_nF.shape[1])
    weight_F = np.linalg.solve(x_nF.T @ x_nF + ridge_FF, x_nF.T @ (target_n - centre))
    fitted = x_HF[rows] @ weight_F + centre
    return np.asarray(np.exp(np.clip(fitted, target_n.min(), target_n.max())))


def varies(column: Floats) -> bool:
    """True if a field takes more than one value."""
    known = column[~np.isnan(column)]
    return len(known) > 1 and bool(known.min() < known.max())


def wide(column: Floats) -> bool:
    """True if a field is better looked at in its logarithm."""
    known = column[~np.isnan(column)]
    return bool(known.min() > 0 and known.max() / known.min() >= WIDE)


def scale(column: Floats, values: Floats) -> Floats:
    """Return values of a field where its smallest is 0 and its largest 1, NaN as the middle."""
    if wide(column):
        column, values = np.log(column), np.log(values)
    low, high = float(np.nanmin(column)), float(np.nanmax(column))
    return np.asarray(np.nan_to_num((values - low) / (high - low), nan=0.5))
