"""Block search: cut the sorted alphas into pieces, probe the cuts, keep the piece around the best.

All models are measured first. Then, in each round, up to M models are probed that divide what
is left of the sorted alphas evenly, and the interval shrinks to the neighbours of the best of
all that were probed in it: M + 1 pieces become two, so about log(H) / log((M + 1) / 2) rounds
suffice. Right for a response with one hump and no noise; under noise a lucky cut shuts the best
model out, and nothing reopens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from sweep.core.history import History, State
from sweep.core.records import Action, Decision, Verdict, Zone


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """M-section of the sorted alphas.

    Args:
        round: M, models probed in a round.
    """

    round: Annotated[int, Field(ge=4)] = 10
    needs: ClassVar[frozenset[str]] = frozenset({"alpha"})

    def __call__(self, history: History) -> Decision:
        coming = history.count(State.PENDING, State.TRAINING) and not history.closed
        if coming or history.count(State.PROBING):
            return _hold_the_new(history)
        zone = self._zone(history)
        alphas = history.column("alpha")
        inside = [row for row in history.waiting if zone.holds(alphas[row])]
        inside.sort(key=lambda row: alphas[row])
        places = np.linspace(0, len(inside) - 1, min(self.round, len(inside)) + 2)[1:-1]
        if len(inside) <= self.round:
            cuts = set(inside)
        else:
            cuts = {inside[round(place)] for place in places}
        verdicts = []
        for row in history.waiting:
            action: Action = "hold"
            reason = f"alpha {alphas[row]:.3f} lies between the cuts of {zone}"
            if row in cuts:
                action, reason = "continue", f"alpha {alphas[row]:.3f} is a cut of {zone}"
            elif not zone.holds(alphas[row]):
                action, reason = "stop", f"alpha {alphas[row]:.3f} lies outside {zone}"
            verdicts.append(Verdict(trial_id=history.trial_ids[row], action=action, reason=reason))
        return Decision(zone=zone, verdicts=tuple(verdicts))

    def _zone(self, history: History) -> Zone:
        """Return the interval between the neighbours, among the probed, of the best of them."""
        probed = history.probed
        if len(probed) == 0:
            return history.zone
        alphas = history.column("alpha")[probed]
        best = alphas[np.argmax(history.column("accuracy")[probed])]
        below, above = alphas[alphas < best], alphas[alphas > best]
        return Zone(
            lo=float(below.max()) if len(below) else None,
            hi=float(above.min()) if len(above) else None,
            through=len(probed),
        )


def _hold_the_new(history: History) -> Decision:
    reason = "the round is under way"
    return Decision(
        zone=history.zone,
        verdicts=tuple(
            Verdict(trial_id=history.trial_ids[row], action="hold", reason=reason)
            for row in history.unanswered
        ),
    )
