"""Which few models to finish and label, by what one early look without labels tells of all.

A fixed map turns the ranks of alpha and RankMe at a look in the first tenth of training into a
score. The map was fitted to complete tables of other studies, so that the models of a new study
need no label to be ordered. The score has its top inside the range of both numbers rather than at
their ends. `experiments/landscapes/fit_few_labels.py` fits the map, and shows for each data set
what the map comes to that was fitted without it. Where there are earlier studies, every second
model is the most promising by their accuracies instead: a wrong prior cannot take more than half
of the labels. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweep.core.history import Floats, History, State
from sweep.core.records import Decision
from sweep.prediction.earlier import Source, curves
from sweep.prediction.response import ranked

SPECTRUM = ("alpha", "rankme")
"""The criteria that the map needs."""
LOOK = 1 / 16
"""The fraction of training of the look. Later looks tell less, and cost more."""
MAP = (0.47, 0.27, -0.20, 0.14, -0.11)
"""Factors of a, r, a^2, a r and r^2, where a and r are the ranks of alpha and RankMe, scaled to
mean 0 and standard deviation 1; fitted to nine tables at 1/16 and 1/8 of training."""


def score(alpha_m: Floats, rankme_m: Floats) -> Floats:
    """Return the score of each model, [m]; the model of the largest score is the most promising.

    Args:
        alpha_m, rankme_m: of all models at one look, [m]; NaN is as the median.
    """
    # Ranks of 0 to 1 have mean 1/2 and standard deviation 1 / sqrt 12.
    scaled_m2 = np.sqrt(12.0) * (ranked([alpha_m, rankme_m]) - 0.5)
    a_m, r_m = scaled_m2.T
    terms_m5 = np.stack([a_m, r_m, a_m**2, a_m * r_m, r_m**2], axis=1)
    return np.asarray(terms_m5 @ np.array(MAP))


def finish_few(history: History, *, models: int, sources: Sequence[Source] = ()) -> Decision:
    """Return the decision of a rule that labels fully trained models only.

    Every candidate is trained to its first look, without a label. Then the models of the largest
    scores are trained to the end and probed, as many at once as there are workers.

    Args:
        history: of the study.
        models: the largest number of models to finish and probe.
        sources: earlier studies.
    """
    ids, zone = history.trial_ids, history.zone
    if rows := history.unanswered if history.probes_left == 0 else history.waiting:
        reason = "it is trained to the end"
        return Decision(zone=zone, verdicts=history.verdicts(rows, "continue", reason))
    first = min(history.fractions, default=1.0)
    fraction = np.nan_to_num(history.column("fraction"))
    at_work = [int(row) for row in history.rows(State.TRAINING, State.PROBING)]
    paused = [int(row) for row in history.rows(State.PAUSED)]
    arrived = history.arrived
    if arrived is not None and fraction[arrived] <= first:
        at_work.remove(arrived)
        paused.append(arrived)
    else:
        arrived = None  # at a later look, which it only passes
    pending = [int(row) for row in history.rows(State.PENDING)]
    may_begin = history.may_begin and not history.closed and bool(pending)
    if may_begin or any(fraction[row] == 0 for row in at_work):
        begins = may_begin and len(at_work) < history.workers
        holds = [] if arrived is None else [arrived]
        return Decision(
            zone=zone,
            verdicts=history.verdicts(holds, "hold", "every candidate has its first look first"),
            begin=ids[pending[0]] if begins else None,
            reason="every candidate has a look without labels" if begins else "",
            idle="" if begins or not at_work else "others are on their way to their first look",
        )
    order = _order(history, f"@{first:g}", sources)
    chosen, reason = _choose(history, order, paused, len(at_work), models)
    if not chosen and not at_work:
        return Decision(
            zone=zone, verdicts=history.verdicts(sorted({*paused, *pending}), "stop", reason)
        )
    going = [row for row in chosen if row != arrived]
    held = [] if arrived is None or arrived in chosen else [arrived]
    return Decision(
        zone=zone,
        verdicts=(
            *history.verdicts(held, "hold", reason),
            *(v for row in going for v in history.verdicts([row], "continue", order[row])),
        ),
        idle="" if chosen else reason,
    )


def _order(history: History, at: str, sources: Sequence[Source]) -> dict[int, str]:
    """Return the models that may be finished, the most promising first, and why each.

    A model whose spectrum has collapsed is not worth a label, unless all have.
    """
    alpha, rankme = (history.column(name + at) for name in SPECTRUM)
    known = ~(np.isnan(alpha) & np.isnan(rankme))
    rows = np.flatnonzero(known) if known.any() else np.arange(len(history))
    by_score = rows[np.argsort(-score(alpha[rows], rankme[rows]), kind="stable")].tolist()
    why = "its alpha and RankMe at the look are among the most promising"
    prior_H = _prior(history, sources)
    if prior_H is None:
        return dict.fromkeys(by_score, why)
    by_prior = rows[np.argsort(-prior_H[rows], kind="stable")].tolist()
    order = dict[int, str]()
    for first, second in zip(by_score, by_prior, strict=True):
        order.setdefault(first, why)
        order.setdefault(second, "it is among the most promising by earlier studies")
    return order


def _prior(history: History, sources: Sequence[Source]) -> Floats | None:
    """Return the mean accuracy at the end by earlier studies, [H], or None if none tells."""
    axes = {name: history.column(name) for name in history.varied if name != "seed"}
    ends = [curves(source, axes, (1.0,))[:, -1] for source in sources if source.common(tuple(axes))]
    mean_H = np.mean(ends, axis=0) if ends else np.zeros(1)
    return np.asarray(mean_H) if np.ptp(mean_H) > 0 else None


def _choose(
    history: History, order: dict[int, str], paused: list[int], at_work: int, models: int
) -> tuple[list[int], str]:
    """Return the models to finish now, or why none."""
    paid = at_work + history.count(State.PROBED)
    if history.probes_left == 0 or (not history.may_train and paid > 0):
        return [], "the budget is spent"
    usable = [row for row in order if row in paused]
    if paid >= models or not usable:
        return [], f"{paid} of at most {models} models are finished, or on their way"
    count = min(history.workers - at_work, models - paid)
    if history.probes_left is not None:
        count = min(count, history.probes_left - history.count(State.TRAINING))
    if count < 1:
        return [], "every worker is taken"
    return usable[:count], "others go on in its place"
