"""The race without early labels: a label-free look at every candidate, then a few models finished.

Every candidate is trained to its first look, where alpha, RankMe and their kin are measured and no
label is read. Then one model after another is finished and probed: first a few that are spread over
these measures, then the ones of largest expected improvement, under a response that is fitted to
the probed models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweep.core.history import Floats, History, State
from sweep.core.records import Action, Decision, Verdict
from sweep.prediction.response import predict
from sweep.prediction.surrogate import features

SPREAD = 4
"""Models that are finished first, spread over the measures."""
AT_ONCE = 2
"""Models that are finished at once after these: more would be chosen without what others teach."""


def finish_few(history: History, *, probes: int, tolerance: float, save_time: bool) -> Decision:
    """Return the decision of a rule that labels fully trained models only.

    Args:
        history: of the study.
        probes: the largest number of models to finish and probe.
        tolerance: expected gain, in accuracy, at which no further model is finished.
        save_time: finish as many models at once as there are workers.
    """
    zone = history.zone
    if history.waiting:
        rows = history.unanswered if history.probes_left == 0 else history.waiting
        if rows:
            return Decision(
                zone=zone, verdicts=_verdicts(history, rows, "continue", "it is trained to the end")
            )
    arrived = history.arrived
    first = min(history.fractions, default=1.0)
    fraction = np.nan_to_num(history.column("fraction"))
    at_work = [int(row) for row in history.rows(State.TRAINING, State.PROBING) if row != arrived]
    looking = [row for row in at_work if fraction[row] < first or not history.fractions]
    pending = [int(row) for row in history.rows(State.PENDING)] if history.may_begin else []
    paused = [int(row) for row in history.rows(State.PAUSED)]
    holds = list[int]()
    if arrived is not None:
        if fraction[arrived] > first:
            at_work.append(arrived)
        else:
            holds = [arrived]
            paused.append(arrived)
    if pending or looking:
        begins = bool(pending) and len(at_work) < history.workers
        return Decision(
            zone=zone,
            verdicts=_verdicts(history, holds, "hold", "all candidates have a look first"),
            begin=history.trial_ids[pending[0]] if begins else None,
            reason="every candidate has a look without labels" if begins else "",
            idle="others are on their way to their first look" if not begins and at_work else "",
        )
    chosen, reason = _choose(history, paused, at_work, f"@{first:g}", probes, tolerance, save_time)
    if not chosen and not at_work:
        left = sorted({*paused, *(int(row) for row in history.rows(State.PENDING))})
        return Decision(zone=zone, verdicts=_verdicts(history, left, "stop", reason))
    going = [row for row in chosen if row != arrived]
    holds = [row for row in holds if row not in chosen]
    return Decision(
        zone=zone,
        verdicts=(
            *_verdicts(history, holds, "hold", reason),
            *_verdicts(history, going, "continue", reason),
        ),
        idle=reason if not chosen else "",
    )


def _choose(
    history: History,
    paused: list[int],
    at_work: list[int],
    at: str,
    probes: int,
    tolerance: float,
    save_time: bool,
) -> tuple[list[int], str]:
    """Return the models to finish now, and why these, or why none."""
    if not history.may_train or history.probes_left == 0:
        return [], "the budget is spent"
    paid = len(at_work) + history.count(State.PROBED)
    limit = min(probes, len(paused) + paid)
    if paid >= limit or not paused:
        return [], f"{paid} of {probes} models are finished and probed, or at work"
    most = history.workers if save_time or paid < SPREAD else min(AT_ONCE, history.workers)
    free = min(most - len(at_work), limit - paid)
    if paid < SPREAD:
        free = min(free, SPREAD - paid)
    if free < 1:
        return [], f"{len(at_work)} models are being finished, and the next one waits for them"
    probed = history.probed
    rows = np.array([*probed, *at_work, *paused], dtype=np.int64)
    sets = features(history, rows, at=at, everything=False)
    if paid < SPREAD or not len(probed):
        x_mF = max(sets.values(), key=lambda x: x.shape[1])
        return (
            _spread(x_mF, len(probed) + len(at_work), free, paused),
            f"among the first {SPREAD}, which spread over the measures without labels",
        )
    accuracies = history.column("accuracy")[probed]
    fit = predict(sets, np.arange(len(probed)), accuracies)
    known = len(probed) + len(at_work)
    values = np.concatenate([accuracies, fit.mean[len(probed) : known]])
    chosen = list[int]()
    best = float(accuracies.max())
    order = list(range(known))
    while len(chosen) < free:
        updated = predict(sets, np.array(order), values) if len(values) > len(probed) else fit
        gain = updated.improvement(best)
        gain[order] = -1.0
        top = int(np.argmax(gain))
        if gain[top] <= tolerance:
            break
        chosen.append(int(rows[top]))
        order.append(top)
        values = np.append(values, fit.mean[top])
    if not chosen:
        return [], f"another model would gain no more than {100 * tolerance:g} points"
    return chosen, "of largest expected improvement by what is known without labels"


def _spread(x_mF: Floats, known: int, count: int, paused: Sequence[int]) -> list[int]:
    """Return `count` paused models, each the farthest from all that were taken before."""
    taken = list(range(known))
    out = list[int]()
    for _ in range(min(count, len(paused))):
        free = [i for i in range(known, len(x_mF)) if i not in taken]
        if taken:
            apart = ((x_mF[free][:, None] - x_mF[taken][None, :]) ** 2).sum(-1).min(1)
            index = free[int(np.argmax(apart))]
        else:
            index = free[int(np.argmin(((x_mF[free] - x_mF[free].mean(0)) ** 2).sum(1)))]
        taken.append(index)
        out.append(paused[index - known])
    return out


def _verdicts(
    history: History, rows: Sequence[int], action: Action, reason: str
) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(trial_id=history.trial_ids[row], action=action, reason=reason) for row in rows
    )
