"""Features of candidates, made from a study's history without labels, and predicted costs.

Rules and proposers share these features: the same numbers decide which model is probed and which
candidate is pretrained next. `sweep.prediction.response` fits the accuracy to them. Its users
decide whether an expected gain is worth its cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sweep.core.history import Floats, History, State
from sweep.core.records import from_labels
from sweep.prediction.response import ranked

Rows = npt.NDArray[np.int64]

BOOKKEEPING = ("fraction", "chance", "_seconds", "_images")
"""Ends of the names of columns that a history keeps for itself: they are no measures of a model."""

LOG_RATIO = 10.0
"""If a field's largest value is at least this many times its smallest, its logarithm is used."""

MIN_COSTS = 3
"""Trials of known device-seconds that are needed before the seconds of others are predicted."""


def fields(history: History, rows: Rows) -> dict[str, Floats]:
    """Return the feature sets that are known before a candidate is trained, each [len(rows), F]."""
    given = _fields(history, rows)
    sets = {"nothing": _stacked([], len(rows))}
    return sets | {
        name: _stacked(group, len(rows)) for name, group in _groups(history, rows, given).items()
    }


def features(
    history: History, rows: Rows, *, at: str = "", everything: bool = True
) -> dict[str, Floats]:
    """Return the feature sets of measured models, each [len(rows), F], ranked among `rows`.

    The sets are each feature alone, all criteria, all fields, alpha with the fields, and all
    together; `sweep.prediction.response.predict` weighs them by the evidence.

    Args:
        history: the study's history.
        rows: rows of models whose criteria are known.
        at: "" for the end of training, or `@FRACTION` for a look during training.
        everything: if true, all numbers that are known without labels and the varied fields are
            used; otherwise only alpha and RankMe.
    """
    criteria = _criteria(history, rows, at)
    spectral = {name: criteria[name] for name in ("alpha", "rankme") if name in criteria}
    groups: dict[str, list[Floats]] = {"nothing": []}
    groups |= {name: [feature] for name, feature in spectral.items()}
    if len(spectral) == 2:
        groups["alpha and rankme"] = list(spectral.values())
    if everything:
        given = _fields(history, rows)
        if len(criteria) > len(spectral):
            groups["the criteria"] = list(criteria.values())
        for name, group in _groups(history, rows, given).items():
            groups[name] = group
            if "alpha" in criteria:
                groups[f"alpha and {name}"] = [criteria["alpha"], *group]
        alone = {**criteria, **(given if len(given) > 1 else {})}
        groups = {name: [feature] for name, feature in alone.items()} | groups
        if given and len(criteria) > 1:
            groups["everything"] = [*criteria.values(), *given.values()]
    return {name: _stacked(group, len(rows)) for name, group in groups.items()}


def space(history: History, rows: Rows, *, everything: bool = True) -> Floats:
    """Return all features of measured models side by side, [len(rows), F], ranked among `rows`.

    The arguments are those of `features`. F is 0 if no feature varies.
    """
    criteria = _criteria(history, rows, "")
    if everything:
        return _stacked([*criteria.values(), *_fields(history, rows).values()], len(rows))
    return _stacked([criteria[n] for n in ("alpha", "rankme") if n in criteria], len(rows))


def _criteria(history: History, rows: Rows, at: str) -> dict[str, Floats]:
    """Return the features that were measured without labels, alpha first, each [len(rows), 1]."""
    names = [column.removesuffix(at) for column in history.columns if column.endswith(at)]
    ours = ("alpha", "rankme")
    names = [name for name in ours if name in names] + [n for n in names if n not in ours]
    known: dict[str, Floats] = {}
    for name in names:
        plain = "@" not in name and not from_labels(name)
        if plain and not name.endswith(BOOKKEEPING) and name not in history.varied:
            column = history.column(name + at)[rows]
            if varies(column) and _mostly_known(history, rows, ~np.isnan(column)):
                known[name] = ranked([column])
    return known


def _fields(history: History, rows: Rows) -> dict[str, Floats]:
    """Return the varied fields as features, [len(rows), 1], or one column for each name.

    Two models that differ in a name are as far apart as the lowest and the highest of a number. A
    name that most models have alone, such as a path, is not used.
    """
    given: dict[str, Floats] = {}
    for name in history.varied:
        column = history.column(name)[rows]
        if name != "seed" and varies(column) and _mostly_known(history, rows, ~np.isnan(column)):
            given[name] = ranked([column])
    for name in history.named:
        values = history.names(name)[rows]
        levels = sorted(set(values))
        if name in history.varied or not 1 < len(levels) <= len(rows) / 2:
            continue
        if _mostly_known(history, rows, values != ""):
            given[name] = np.stack([values == level for level in levels], axis=1) / np.sqrt(2.0)
    return given


def _mostly_known(history: History, rows: Rows, known: npt.NDArray[np.bool_]) -> bool:
    """True if a value is known for half of the models that were not probed.

    A value that comes with a probe says nothing about the other models.
    """
    unprobed = ~np.isin(rows, history.probed)
    return bool(known[unprobed].mean() >= 0.5) if unprobed.any() else True


def _groups(history: History, rows: Rows, given: Mapping[str, Floats]) -> dict[str, list[Floats]]:
    groups = {"the varied fields": list(given.values())} if given else {}
    if "d" in given and "lambd" in given:
        # The accuracy depends on lambda * d more simply than on lambda: while d varies 128-fold,
        # the authors' best lambda keeps lambda * d between 1.5 and 6.6.
        with np.errstate(over="ignore"):  # infinity does no harm: only the ranks are used
            product = history.column("lambd")[rows] * history.column("d")[rows]
        groups["lambda * d"] = [ranked([product])]
    return groups


def _stacked(group: Sequence[Floats], count: int) -> Floats:
    """Return features side by side, [count, F], so that `predict` takes each for one of them.

    `predict` divides squared distances by the number of columns; a name has several.
    """
    if not group:
        return np.zeros((count, 0))
    side_by_side = np.concatenate(group, axis=1)
    return np.asarray(side_by_side * np.sqrt(side_by_side.shape[1] / len(group)))


def seconds(history: History, rows: Rows) -> Floats:
    """Return predicted device-seconds of candidates, [len(rows)]; ones until three are probed.

    They are fitted to the seconds that probed trials took, probes and measures included.
    """
    probed = history.rows(State.PROBED)
    spent = history.column("device_seconds")[probed]
    probed, spent = probed[spent > 0], spent[spent > 0]
    if len(probed) < MIN_COSTS:
        return np.ones(len(rows))
    return fitted_seconds(history, probed, spent)[rows]


def whole_seconds(history: History) -> Floats:
    """Return the device-seconds of each candidate's whole training, predicted, [H].

    They are fitted to what the trials took up to their last look, divided by the fraction of that
    look; ones until `MIN_COSTS` trials had a look.
    """
    fraction, spent = history.column("fraction"), history.column("look_seconds")
    known = np.flatnonzero((fraction > 0) & (spent > 0))
    if len(known) < MIN_COSTS:
        return np.ones(len(history))
    return fitted_seconds(history, known, spent[known] / fraction[known])


def fitted_seconds(history: History, known: Rows, spent: Floats) -> Floats:
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
