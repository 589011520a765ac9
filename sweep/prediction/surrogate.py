"""Features of candidates, made from a study's history without labels, and predicted costs.

Rules and proposers share these features: the same numbers decide which model is probed and which
candidate is pretrained next. `sweep.prediction.response` fits the accuracy to them. Its users
decide whether an expected gain is worth its cost.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from sweep.core.history import Floats, History, State
from sweep.prediction.response import ranked

Rows = npt.NDArray[np.int64]

CRITERIA = ("alpha", "rankme", "alpha_r2", "loss")

LOG_RATIO = 10.0
"""If a field's largest value is at least this many times its smallest, its logarithm is used."""

MIN_COSTS = 3
"""Trials of known device-seconds that are needed before the seconds of others are predicted."""


def fields(history: History, rows: Rows) -> dict[str, Floats]:
    """Return the feature sets that are known before a candidate is trained, each [len(rows), F]."""
    groups = _groups(history, rows)
    empty: Floats = np.zeros((len(rows), 0))
    return {"nothing": empty} | {name: ranked(columns) for name, columns in groups.items()}


def features(
    history: History, rows: Rows, *, at: str = "", everything: bool = True
) -> dict[str, Floats]:
    """Return the feature sets of measured models, each [len(rows), F], ranked among `rows`.

    Args:
        history: the study's history.
        rows: rows of models whose criteria are known.
        at: "" for the end of training, or `@FRACTION` for a look during training.
        everything: if true, the varied fields, the loss and the r2 of alpha's fit are used too;
            otherwise only alpha and RankMe.
    """
    criteria = {name: history.column(name + at)[rows] for name in CRITERIA}
    known = {name: c for name, c in criteria.items() if not np.isnan(c).all()}
    spectral = {name: known[name] for name in ("alpha", "rankme") if name in known}
    groups = _groups(history, rows)
    sets: dict[str, list[Floats]] = {"nothing": []}
    sets |= {name: [column] for name, column in spectral.items()}
    if len(spectral) == 2:
        sets["alpha and rankme"] = list(spectral.values())
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
        # The accuracy depends on lambda * d more simply than on lambda: while d varies 128-fold,
        # the authors' best lambda keeps lambda * d between 1.5 and 6.6.
        with np.errstate(over="ignore"):  # infinity does no harm: only the ranks are used
            groups["lambda * d"] = [varied["lambd"] * varied["d"]]
    return groups


def seconds(history: History, rows: Rows) -> Floats:
    """Return predicted device-seconds of candidates, [len(rows)]; ones until three are probed.

    They are fitted to the seconds that probed trials took, probes and measures included.
    """
    probed = history.rows(State.PROBED)
    spent = history.column("device_seconds")[probed]
    probed, spent = probed[spent > 0], spent[spent > 0]
    if len(probed) < MIN_COSTS:
        return np.ones(len(rows))
    return _fitted_seconds(history, probed, spent)[rows]


def whole_seconds(history: History) -> Floats:
    """Return the device-seconds of each candidate's whole training, predicted, [H].

    They are fitted to what the trials took up to their last look, divided by the fraction of that
    look; ones until `MIN_COSTS` trials had a look.
    """
    fraction, spent = history.column("fraction"), history.column("look_seconds")
    known = np.flatnonzero((fraction > 0) & (spent > 0))
    if len(known) < MIN_COSTS:
        return np.ones(len(history))
    return _fitted_seconds(history, known, spent[known] / fraction[known])


def _fitted_seconds(history: History, known: Rows, spent: Floats) -> Floats:
    """Return the predicted seconds of every candidate, [H], given those of a few.

    The logarithm is fitted by ridge regression, linear in the varied fields, because a large d
    makes a projector costly while lambda costs nothing. The prediction is kept between the
    smallest and the largest value that is known.
    """
    names = [name for name in history.varied if varies(history.column(name))]
    scaled = [scale(history.column(name), history.column(name)) for name in names]
    x_HF = np.stack([np.ones(len(history)), *scaled], axis=1)
    x_nF, target_n = x_HF[known], np.log(spent)
    centre = target_n.mean()
    ridge_FF = 0.1 * np.diag([0.0] + [1.0] * len(names)) + 1e-9 * np.eye(x_nF.shape[1])
    weight_F = np.linalg.solve(x_nF.T @ x_nF + ridge_FF, x_nF.T @ (target_n - centre))
    fitted = x_HF @ weight_F + centre
    return np.asarray(np.exp(np.clip(fitted, target_n.min(), target_n.max())))


def varies(column: Floats) -> bool:
    """True if a field takes more than one value."""
    known = column[~np.isnan(column)]
    return len(known) > 1 and bool(known.min() < known.max())


def wide(column: Floats) -> bool:
    """True if the logarithm of a field is to be used instead of the field."""
    known = column[~np.isnan(column)]
    return bool(known.min() > 0 and known.max() / known.min() >= LOG_RATIO)


def scale(column: Floats, values: Floats) -> Floats:
    """Return `values` mapped linearly so that the field's smallest value is 0 and its largest 1.

    NaN becomes 0.5. A `wide` field is mapped in its logarithm.

    Args:
        column: the field's values of all candidates.
        values: the values to map.
    """
    if wide(column):
        column, values = np.log(column), np.log(values)
    low, high = float(np.nanmin(column)), float(np.nanmax(column))
    return np.asarray(np.nan_to_num((values - low) / (high - low), nan=0.5))
