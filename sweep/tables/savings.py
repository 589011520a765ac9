"""What a study spent on pretraining, and what training all its models to the end would take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweep.core.events import CandidateAdded
from sweep.core.history import History
from sweep.log.log import salvage
from sweep.log.study_folder import log_of
from sweep.prediction.surrogate import MIN_COSTS, fitted_seconds
from sweep.tables.results import Results


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining:
    """Device-seconds of pretraining alone, without measures and probes.

    Args:
        spent: by all trials, failed attempts included.
        whole: what all models would take, predicted.
        models: how many candidates the study has.
    """

    spent: float
    whole: float
    models: int


def pretraining(results: Results) -> Pretraining | None:
    """Return what a study spent, or None if its rule left no training unfinished.

    A model that was stopped during its training would take its seconds divided by the fraction that
    it was trained for. The seconds of a model that never began are predicted from those of the
    others: they are fitted to the varied fields, or are the mean if fewer than `MIN_COSTS` began.
    """
    trials = results.trials.select(["trial_id", "status", "fraction", "pretrain_device_seconds"])
    rows = trials.to_pylist()
    cut = [r for r in rows if r["status"] != "failed" and (r["fraction"] or 0.0) < 1]
    spent = {row["trial_id"]: row["pretrain_device_seconds"] or 0.0 for row in rows}
    whole = {
        row["trial_id"]: spent[row["trial_id"]] / row["fraction"]
        for row in rows
        if (row["fraction"] or 0.0) > 0 and spent[row["trial_id"]] > 0
    }
    if not cut or not whole:
        return None
    others = [trial_id for trial_id in spent if trial_id not in whole]
    predicted = dict.fromkeys(others, float(np.mean(list(whole.values()))))
    if others and len(whole) >= MIN_COSTS:
        predicted |= _fitted(results, whole)
    total = sum(whole.get(trial_id, predicted.get(trial_id, 0.0)) for trial_id in spent)
    return Pretraining(spent=sum(spent.values()), whole=total, models=len(rows))


def _fitted(results: Results, whole: dict[str, float]) -> dict[str, float]:
    """Return trial_id -> predicted seconds of every candidate, given those of some."""
    history = History()
    for event, _ in salvage(log_of(results.location)):
        if isinstance(event, CandidateAdded):
            history.fold(event)
    readable = [trial_id for trial_id in whole if trial_id in history]
    if len(readable) < MIN_COSTS:
        return {}
    known = np.array([history.row(trial_id) for trial_id in readable])
    seconds = fitted_seconds(history, known, np.array([whole[i] for i in readable]))
    return dict(zip(history.trial_ids, map(float, seconds), strict=True))
