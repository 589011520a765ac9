"""Rules that use no criterion: probe all models, none, or a random few.

Other rules are compared with them: `all` finds the best of all models, and `random` shows what
the same number of probes finds without alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from sweep.core.history import History, State
from sweep.core.records import Action, Decision, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeAll:
    """Probe every model."""

    baseline: ClassVar[bool] = True

    def __call__(self, history: History) -> Decision:
        return _same_for_all(history, "continue", "rule all probes every model")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeNone:
    """Probe no model; models are only pretrained and measured."""

    needs_labels: ClassVar[bool] = False
    baseline: ClassVar[bool] = True

    def __call__(self, history: History) -> Decision:
        return _same_for_all(history, "stop", "rule none probes no model")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeRandom:
    """Probe the first `probes` models of the study's random order that can be probed.

    Args:
        probes: number of models to probe.
    """

    probes: Annotated[int, Field(gt=0)] = 10
    baseline: ClassVar[bool] = True
    matched: ClassVar[bool] = True  # in a replay it gets the number of probes of another rule

    def __call__(self, history: History) -> Decision:
        verdicts = []
        for row in history.waiting:
            before = history.state[:row]  # states of the models before this one in the order
            paid = int(((before == State.PROBING) | (before == State.PROBED)).sum())
            ended = (before == State.STOPPED) | (before == State.FAILED)
            if history.closed:
                ended |= (before == State.PENDING) | (before == State.TRAINING)
            possible = int((~ended).sum())
            action: Action
            if possible < self.probes:
                action, reason = "continue", f"among the first {self.probes} of a random order"
            elif paid >= self.probes:
                action, reason = "stop", f"{self.probes} of a random order were probed before it"
            else:
                action, reason = "hold", "models before it in the random order are undecided"
            verdicts.append(Verdict(trial_id=history.trial_ids[row], action=action, reason=reason))
        return Decision(zone=history.zone, verdicts=tuple(verdicts))


def _same_for_all(history: History, action: Action, reason: str) -> Decision:
    return Decision(
        zone=history.zone,
        verdicts=tuple(
            Verdict(trial_id=history.trial_ids[row], action=action, reason=reason)
            for row in history.waiting
        ),
    )
