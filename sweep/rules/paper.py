"""The alpha-ReQ authors' rule, in exact rounds and without a barrier.

Source: Agrawal, Mondal, Ghosh, Richards, NeurIPS 2022, section 5, and its code
(kumarkrishna/fastssl).

All models wait in random order. A round is the next M of them. The models of the round whose
alpha is in the bracket are probed; in the first round these are all models. Then the bracket is
updated from all models that were probed so far. The top models are the M/2 of highest accuracy.
The lower bound becomes the smallest alpha of a top model, unless this is the smallest alpha of
all. The upper bound becomes the largest alpha of a top model, unless this is the largest of all.

`sync = true` is the authors' rule, round by round. `sync = false` is our variant: every model is
probed until M results are known, then the bracket is recomputed after each probe. A model outside
the bracket waits only while a probe of another model outside is running. Only such a probe can
move a bound outwards, so that a stopped model remains outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from sweep.core.history import Floats, History, State
from sweep.core.records import Action, Decision, Verdict, Zone


def bracket(alphas: Floats, accuracies: Floats, *, top: int, zone: Zone) -> Zone:
    """Return the zone with its bounds moved to the outermost of the top models.

    Args:
        alphas, accuracies: [n], of all models that were probed so far, in any order.
        top: M // 2, the number of top models; models that tie with the last of them are top
            models, too.
        zone: the zone so far. A bound does not move if the outermost top model is the outermost
            of all models.

    A top model can lie outside the zone only without a barrier: its probe was running when the
    bracket moved past it. The bound then moves out to this model.
    """
    if len(alphas) == 0:
        return zone
    lowest_top = np.sort(accuracies)[-min(top, len(accuracies))]
    top_alphas = alphas[accuracies >= lowest_top]
    lo, hi = float(top_alphas.min()), float(top_alphas.max())
    return replace(
        zone,
        lo=lo if lo > alphas.min() else _unmoved(zone.lo, lo, min),
        hi=hi if hi < alphas.max() else _unmoved(zone.hi, hi, max),
    )


def _unmoved(
    bound: float | None, top: float, outer: Callable[[float, float], float]
) -> float | None:
    """Return the old bound, or `top` if it is further out: a late probe may be beyond the bound."""
    return None if bound is None else outer(bound, top)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """The authors' rule.

    Args:
        round: M, the number of models in a round; the bracket spans the top M // 2 models.
        sync: if true, exact rounds; otherwise the bracket moves after each probe.
    """

    round: Annotated[int, Field(ge=4)] = 10
    sync: bool = False
    needs: ClassVar[frozenset[str]] = frozenset({"alpha"})

    def doubts(self, candidates: int) -> list[str]:
        """Return a sentence where there are too few candidates for the zone to close."""
        if candidates >= 3 * self.round:
            return []
        return [
            f"{candidates} candidates are fewer than 3 rounds of {self.round}: the zone can "
            "hardly close. Set rule.round lower (4 or more) or enlarge the space."
        ]

    def __call__(self, history: History) -> Decision:
        return self._in_rounds(history) if self.sync else self._at_once(history)

    def _in_rounds(self, history: History) -> Decision:
        """Decide in exact rounds; `zone.through` counts the rounds that the zone includes."""
        zone, verdicts = history.zone, list[Verdict]()
        alphas, state = history.column("alpha"), history.state.copy()
        while (start := zone.through * self.round) < len(history):
            rows = range(start, min(start + self.round, len(history)))
            for row in rows:
                if state[row] in (State.WAITING, State.HELD):
                    inside = zone.holds(alphas[row])
                    action: Action = "continue" if inside else "stop"
                    state[row] = State.PROBING if inside else State.STOPPED
                    verdicts.append(_verdict(history, row, action, zone))
            complete = len(rows) == self.round or history.closed
            if not complete or not all(_settled(State(int(state[r])), history) for r in rows):
                break
            probed = history.probed[history.probed < rows.stop]
            zone = bracket(
                alphas[probed],
                history.column("accuracy")[probed],
                top=self.round // 2,
                zone=replace(zone, through=zone.through + 1),
            )
        decided = {verdict.trial_id for verdict in verdicts}
        for row in history.unanswered:
            if (trial_id := history.trial_ids[row]) not in decided:
                reason = f"waits for round {zone.through + 1} to end"
                verdicts.append(Verdict(trial_id=trial_id, action="hold", reason=reason))
        return Decision(zone=zone, verdicts=tuple(verdicts))

    def _at_once(self, history: History) -> Decision:
        """Decide after each probe; `zone.through` counts the probes that the zone includes."""
        zone, probed = history.zone, history.probed
        alphas, accuracies = history.column("alpha"), history.column("accuracy")
        for count in range(max(zone.through + 1, self.round), len(probed) + 1):
            rows = probed[:count]
            zone = bracket(
                alphas[rows],
                accuracies[rows],
                top=self.round // 2,
                zone=replace(zone, through=count),
            )
        may_reopen = any(
            not zone.holds(alphas[row]) for row in np.flatnonzero(history.state == State.PROBING)
        )
        verdicts = []
        for row in _to_answer(history, zone, may_reopen):
            if zone.holds(alphas[row]):
                verdicts.append(_verdict(history, row, "continue", zone))
            elif may_reopen:
                verdicts.append(
                    Verdict(
                        trial_id=history.trial_ids[row],
                        action="hold",
                        reason=f"alpha {alphas[row]:.3f} lies outside {zone}, "
                        "which a running probe may still widen",
                    )
                )
            else:
                verdicts.append(_verdict(history, row, "stop", zone))
        return Decision(zone=zone, verdicts=tuple(verdicts))


def _to_answer(history: History, zone: Zone, may_reopen: bool) -> list[int]:
    """Return the waiting rows, except those that are held and would only be held again."""
    waiting = history.rows(State.WAITING, State.HELD)
    alphas = history.column("alpha")[waiting]
    inside = np.ones(len(waiting), dtype=bool)
    if zone.lo is not None:
        inside &= alphas >= zone.lo
    if zone.hi is not None:
        inside &= alphas <= zone.hi
    stays_held = np.where(inside, history.probes_left == 0, may_reopen)
    rows: list[int] = waiting[~stays_held | (history.state[waiting] == State.WAITING)].tolist()
    return rows


def _settled(state: State, history: History) -> bool:
    return state.final or (history.closed and state in (State.PENDING, State.TRAINING))


def _verdict(history: History, row: int, action: Action, zone: Zone) -> Verdict:
    where = "inside" if action == "continue" else "outside"
    alpha = history.column("alpha")[row]
    return Verdict(
        trial_id=history.trial_ids[row],
        action=action,
        reason=f"alpha {alpha:.3f} lies {where} {zone}",
    )
