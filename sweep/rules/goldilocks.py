"""The default rule: learn from each probe which models are worth the next one.

A response is fitted with noise (`sweep.prediction.response`) to the accuracies known so far, over
alpha and RankMe, or everything known without labels. Direction and shape are learned; nothing is
assumed to lie near alpha = 1.

- While models are still being pretrained nobody is probed: a probe is chosen best when all
  alphas are known, and pretraining keeps every worker busy meanwhile.
- Once all are measured, most of a round that spreads over alpha's range; then the models of
  largest expected improvement, some at a time, until another probe is expected to gain no
  more than `tolerance`. The rest is stopped.
- `eager`, where pretraining can be saved (criteria at fractions of training, or a proposer):
  each model that finishes is probed, for that costs little beside its pretraining. Given up
  are trials on their way, candidates never begun, and finished models, as long as the best of
  all is among those given up with a probability of at most `risk`; what has collapsed, at once.

The zone is an interval of alpha that holds the best model with probability `confidence`, as
far as the fit can tell. It decides nothing, so it can open again. The constants below are set
by replays; see the README for the tables they were set on, and for what was tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sweep.core.history import Floats, History, State
from sweep.core.records import Action, Decision, Verdict, Zone
from sweep.prediction.response import Prediction, predict
from sweep.prediction.surrogate import Rows, features, fields

SPREAD = 0.7
"""Share of a round that is spread over alpha before anything is fitted: with half of it the
fit settled on a wrong part of the zone more often (`cifar10_short`), with 0.9 no less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Goldilocks:
    """Probe where the expected improvement is largest.

    Args:
        round: M; `SPREAD` of it is probed first, all of it before an end is considered.
        batch: probes at once in the end; by default a third of `round`.
        tolerance: of accuracy, 0 to 1: the expected gain at which it stops.
        confidence: of the zone.
        risk: that the best model of all is given up before its end; 0 gives nobody up.
        eager: probe while others are still being pretrained. By default a study fills it in:
            true where trials are measured on the way, or a proposer orders them.
        features: over what the response is fitted. The varied fields make it surer of
            itself than it should be: on two of three tables it then does worse than chance.
    """

    round: Annotated[int, Field(ge=4)] = 10
    batch: Annotated[int, Field(gt=0)] | None = None
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.0005
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    risk: Annotated[float, Field(ge=0, lt=1)] = 0.05
    eager: bool | None = None
    features: Literal["criteria", "everything"] = "criteria"
    needs: ClassVar[frozenset[str]] = frozenset({"alpha"})

    def __call__(self, history: History) -> Decision:
        early = self._give_up(history)
        gone = {verdict.trial_id for verdict in early}
        zone, chosen, why = history.zone, dict[int, str](), "others are measured first"
        coming = bool(history.count(State.PENDING, State.TRAINING, State.PAUSED))
        coming &= not history.closed
        probed = history.probed
        paid = history.count(State.PROBING, State.PROBED)
        want = self._wanted(history, coming)
        if coming and self.eager:
            chosen = dict.fromkeys(history.waiting, "a probe costs little beside its pretraining")
        elif paid < self.spread or len(probed) == 0:
            chosen = _spread(history, want)
        if len(probed) and (zone.through < len(probed) or (want and not chosen)):
            zone, best, why = self._best(history, 0 if chosen else want)
            chosen = chosen or best
        verdicts = []
        done = not coming and not chosen and not history.count(State.PROBING) and want > 0
        for row in history.waiting if done else sorted({*chosen, *history.unanswered}):
            if history.trial_ids[row] in gone:
                continue
            action: Action = "continue" if row in chosen else "stop" if done else "hold"
            reason = chosen.get(row, why)
            verdicts.append(Verdict(trial_id=history.trial_ids[row], action=action, reason=reason))
        return Decision(zone=zone, verdicts=(*early, *verdicts))

    def batched(self, probes: int) -> Goldilocks:
        """Return the rule with so many probes at once."""
        return replace(self, batch=probes)

    @property
    def spread(self) -> int:
        """Models that are probed before anything is fitted."""
        return max(3, math.ceil(SPREAD * self.round))

    def _wanted(self, history: History, coming: bool) -> int:
        """Return how many probes may begin now."""
        inflight = history.count(State.PROBING)
        paid = inflight + history.count(State.PROBED)
        if coming:
            return 0
        if paid < self.spread:
            return self.spread - paid
        return max(0, (self.batch or max(2, self.round // 3)) - inflight)

    def _best(self, history: History, want: int) -> tuple[Zone, dict[int, str], str]:
        """Fit, and return the zone, whom to probe and why, and why not the others."""
        rows = np.flatnonzero(~np.isnan(history.column("alpha")))
        place = {int(row): i for i, row in enumerate(rows)}
        sets = features(history, rows, everything=self.features == "everything")
        probed = history.probed
        known = np.array([place[int(row)] for row in probed])
        accuracies = history.column("accuracy")[probed]
        best = float(accuracies.max())
        fit = predict(sets, known, accuracies)
        zone = self._zone(history, rows, fit, known, best)
        waiting = np.array([place[row] for row in history.waiting], dtype=np.int64)
        pending = [place[int(row)] for row in history.rows(State.PROBING)]
        chosen: dict[int, str] = {}
        gain = float(fit.improvement(best)[waiting].max()) if len(waiting) else 0.0
        why = f"a probe would gain {100 * gain:.2f} points at most"
        for _ in range(want):
            if not len(waiting):
                break
            believed = np.concatenate([known, np.array(pending, dtype=np.int64)])
            guesses = np.concatenate([accuracies, fit.mean[pending]])
            now = predict(sets, believed, guesses) if pending else fit
            gains = now.improvement(best)[waiting]
            pick = int(np.argmax(gains))
            if gains[pick] <= self.tolerance and len(believed) >= self.round:
                break
            at = int(waiting[pick])
            chosen[int(rows[at])] = (
                f"expected accuracy {fit.mean[at]:.4f} +- {fit.sd[at]:.4f}: a probe gains "
                f"{100 * gains[pick]:.2f} points over {best:.4f}"
            )
            pending.append(at)
            waiting = np.delete(waiting, pick)
        return zone, chosen, why

    def _zone(
        self, history: History, rows: Rows, fit: Prediction, known: Rows, best: float
    ) -> Zone:
        """Return the interval of the likeliest best models, and what shape the response has."""
        chance = fit.exceeds(best)
        chance[known] = 0.0
        chance[known[np.argmax(history.column("accuracy")[history.probed])]] = np.prod(1 - chance)
        chance /= chance.sum()
        order = np.argsort(-chance, kind="stable")
        enough = int(np.searchsorted(np.cumsum(chance[order]), self.confidence)) + 1
        alphas = history.column("alpha")[rows[order[:enough]]]
        return Zone(
            lo=float(alphas.min()),
            hi=float(alphas.max()),
            through=len(known),
            note=_shape(history.column("alpha")[rows], fit),
        )

    def _give_up(self, history: History) -> list[Verdict]:
        """Say who need not be begun, trained to the end, or probed, while others still are.

        The chance that the best of all is among those given up stays below `risk`, in all:
        those who were given up before are counted.
        """
        row = history.latest
        if self.risk <= 0 or row is None:
            return []
        fraction = float(history.column("fraction")[row])
        looked = history.state[row] == State.TRAINING and fraction < 1
        at = f"@{fraction:g}" if looked else ""
        if looked and np.isnan(history.column(f"alpha{at}")[row]):
            return [_stop(history, row, f"its spectrum has collapsed at {fraction:g}:", 0.0)]
        looked |= history.state[row] == State.WAITING
        probed = len(history.probed)
        news = history.zone.through < probed
        if not self.eager or probed < self.spread or not (looked or news):
            return []
        verdicts = []
        share, scale = _shares(history)
        collapsed = np.isnan(history.column("alpha")) & (history.column("fraction") >= 1)
        gone = (history.state == State.STOPPED) & ~collapsed
        # What was known of those when they were given up, or what is known now: the surer.
        spent = float(np.fmin(share, history.column("chance"))[gone].sum())
        if looked:
            here = scale * _chance_at(history, row, at, self.spread)
            if spent + here <= self.risk:
                when = f"at {fraction:g} of its training" if at else "not probed:"
                verdicts.append(_stop(history, row, when, here))
                spent += here
        if news:
            pending = history.rows(State.PENDING)
            for one in pending[np.argsort(share[pending], kind="stable")]:
                spent += float(share[one])
                if spent > self.risk:
                    break
                verdicts.append(_stop(history, int(one), "never begun:", float(share[one])))
        return verdicts


def _chance_at(history: History, row: int, at: str, spread: int) -> float:
    """Return how likely a trial beats the best, by what others showed at the same point."""
    probed = history.probed
    probed = probed[~np.isnan(history.column(f"alpha{at}")[probed])]
    if len(probed) < spread:
        return 1.0
    rows = np.append(probed, row)
    accuracies = history.column("accuracy")[probed]
    fit = predict(features(history, rows, at=at), np.arange(len(probed)), accuracies)
    return float(fit.exceeds(float(history.column("accuracy")[history.probed].max()))[-1])


def _shares(history: History) -> tuple[Floats, float]:
    """Return of every candidate how likely it is the best of all, by its varied fields alone.

    Returns:
        The probabilities, [H], 0 where the accuracy is known and for the failed, which sum to 1
        with that of the best so far; and what a chance to beat it is multiplied by.
    """
    probed = history.probed
    others = history.rows(*(state for state in State if state != State.FAILED))
    others = others[np.isnan(history.column("accuracy")[others])]
    rows = np.concatenate([probed, others])
    accuracies = history.column("accuracy")[probed]
    fit = predict(fields(history, rows), np.arange(len(probed)), accuracies)
    chance = fit.exceeds(float(accuracies.max()))[len(probed) :]
    scale = 1 / float(chance.sum() + np.prod(1 - chance))
    share = np.zeros(len(history))
    share[others] = scale * chance
    return share, scale


def _spread(history: History, count: int) -> dict[int, str]:
    """Return `count` waiting models, in the middles of as many parts of their alphas."""
    if count == 0:
        return {}
    alphas = history.column("alpha")
    ordered = sorted(history.waiting, key=lambda row: alphas[row])
    places = {round((i + 0.5) / count * len(ordered) - 0.5) for i in range(count)}
    reason = f"among the first {count}, which spread over the range of alpha"
    return {ordered[min(max(place, 0), len(ordered) - 1)]: reason for place in places if ordered}


def _shape(alphas: Floats, fit: Prediction) -> str:
    """Return what a person should know of the response over alpha; "" for one clear hump."""
    shares = fit.shares()
    if shares.get("nothing", 0.0) > 0.5:
        return "flat: what is known without labels does not explain the accuracy"
    only = np.array([name == "alpha" for name in fit.names])
    if sum(share for name, share in shares.items() if "alpha" in name) < 0.2 or len(alphas) < 4:
        return ""
    weight = fit.weight_K[only] / fit.weight_K[only].sum()
    order = np.argsort(alphas)
    mean = (weight @ fit.mean_KM[only])[order]
    spread = float(mean.max() - mean.min())
    top = int(np.argmax(mean))
    if top in (0, len(mean) - 1):
        side = "smallest" if top == 0 else "largest"
        return f"monotone: the {side} alphas look best, and better may lie beyond them"
    for side in (mean[: top + 1][::-1], mean[top:]):
        lowest = int(np.argmin(side))
        if side[lowest:].max() - side[lowest] > 0.4 * spread:
            return "two humps: accuracy rises again on the far side of a dip in alpha"
    return ""


def _stop(history: History, row: int, when: str, chance: float) -> Verdict:
    return Verdict(
        trial_id=history.trial_ids[row],
        action="stop",
        reason=f"{when} it is the best with probability {chance:.3f}",
        chance=chance,
    )
