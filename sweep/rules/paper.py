"""The alpha-ReQ authors' rule, in exact rounds and without a barrier.

Source: Agrawal, Mondal, Ghosh, Richards, NeurIPS 2022, section 5, and its code
(kumarkrishna/fastssl). All models wait in random order. A round is the next M of them;
those whose alpha lies in the bracket are probed, at first all. Then the bracket moves:
of all models probed so far take the top M/2 by accuracy, sort the probed by alpha, and
set the lower bound to the alpha of the first top model unless it is the leftmost of
all, the upper bound likewise on the right. Outside the bracket no model is probed.

`sync = true` is that rule, round by round. `sync = false` is our variant: everything is
probed until M results are in, then the bracket is recomputed after each probe. A model
outside it waits only while a probe that itself lies outside is in flight, because only
such a probe could move a bound outwards; so what is stopped stays outside.
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
        alphas, accuracies: [n] of all models probed so far, in any order.
        top: M // 2; whoever ties with the last of them counts as top.
        zone: a bound is kept where the outermost top model is the outermost of all.

    Only without a barrier can a top model lie outside the zone (its probe was in flight
    when the bracket closed); the bound then moves out to it.
    """
    if len(alphas) == 0:
        return zone
    least = np.sort(accuracies)[-min(top, len(accuracies))]
    best = alphas[accuracies >= least]
    lo, hi = float(best.min()), float(best.max())
    return replace(
        zone,
        lo=lo if lo > alphas.min() else _kept(zone.lo, lo, min),
        hi=hi if hi < alphas.max() else _kept(zone.hi, hi, max),
    )


def _kept(bound: float | None, top: float, outer: Callable[[float, float], float]) -> float | None:
    """Keep the bound, but never inside a top model: a late probe may lie beyond it."""
    return None if bound is None else outer(bound, top)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """The authors' rule.

    Args:
        round: M, models in a round; the bracket spans the top M // 2.
        sync: exact rounds; otherwise the bracket moves after each probe.
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
        """`zone.through` counts the rounds that are folded into the zone."""
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
            whole = len(rows) == self.round or history.closed
            if not whole or not all(_settled(State(int(state[r])), history) for r in rows):
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
        """`zone.through` counts the probes that are folded into the zone."""
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
        for row in _moved(history, zone, may_reopen):
            if zone.holds(alphas[row]):
                verdicts.append(_verdict(history, row, "continue", zone))
            elif may_reopen:
                verdicts.append(
                    Verdict(
                        trial_id=history.trial_ids[row],
                        action="hold",
                        reason=f"alpha {alphas[row]:.3f} lies outside {zone}, "
                        "which a probe in flight may still widen",
                    )
                )
            else:
                verdicts.append(_verdict(history, row, "stop", zone))
        return Decision(zone=zone, verdicts=tuple(verdicts))


def _moved(history: History, zone: Zone, may_reopen: bool) -> list[int]:
    """Return the rows that wait, but for those that are held and would be held again."""
    waiting = history.rows(State.WAITING, State.HELD)
    alphas = history.column("alpha")[waiting]
    inside = np.ones(len(waiting), dtype=bool)
    if zone.lo is not None:
        inside &= alphas >= zone.lo
    if zone.hi is not None:
        inside &= alphas <= zone.hi
    again = np.where(inside, history.probes_left == 0, may_reopen)
    rows: list[int] = waiting[~again | (history.state[waiting] == State.WAITING)].tolist()
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
