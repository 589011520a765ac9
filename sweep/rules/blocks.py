"""Block search: probe models that cut the sorted alphas into pieces; keep those around the best.

All models are measured first. Then up to M models are probed in each round; they divide the rest
of the sorted alphas evenly. After the round, the interval shrinks to the two neighbours of the
best model among all probed models. Of M + 1 pieces two remain, so that about
log(H) / log((M + 1) / 2) rounds are enough for H models. The search is right if the response has
one hump and no noise. With noise, a cut that looks too good can exclude the best model, and the
interval never grows again.
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
        round: M, the number of models that are probed in a round.
    """

    round: Annotated[int, Field(ge=4)] = 10
    needs: ClassVar[frozenset[str]] = frozenset({"alpha"})

    def __call__(self, history: History) -> Decision:
        unmeasured = history.count(State.PENDING, State.TRAINING) and not history.closed
        if unmeasured or history.count(State.PROBING):
            return _hold_unanswered(history)
        zone = self._zone(history)
        alphas = history.column("alpha")
        inside = [row for row in history.waiting if zone.holds(alphas[row])]
        inside.sort(key=lambda row: alphas[row])
        positions = np.linspace(0, len(inside) - 1, min(self.round, len(inside)) + 2)[1:-1]
        if len(inside) <= self.round:
            cuts = set(inside)
        else:
            cuts = {inside[round(position)] for position in positions}
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
        """Return the interval between the two neighbours in alpha of the best probed model."""
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


def _hold_unanswered(history: History) -> Decision:
    reason = "the round has not ended"
    return Decision(
        zone=history.zone,
        verdicts=tuple(
            Verdict(trial_id=history.trial_ids[row], action="hold", reason=reason)
            for row in history.unanswered
        ),
    )
