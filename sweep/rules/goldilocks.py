"""Probe trained models: fit the accuracy after each probe, and probe where most can be gained.

A response with noise (`sweep.prediction.response`) is fitted to the accuracies that are known so
far. Its features are all numbers that are known without labels and all varied fields, alone and
together. Feature sets weigh as much as they predict each probed model from the others. The fit
learns direction and shape; it does not assume that the best alpha is near 1.

- While models are being pretrained, none is probed. The choice of a probe is better when all
  features are known, and pretraining keeps every worker busy in the meantime.
- Once all models are measured, the first probes are half of a round, spread over the features.
  Then the models of largest expected improvement are probed, a few at a time, until another probe
  is expected to gain no more than `tolerance`. All other models are stopped.
- While the fit predicts the probed models no better than their mean does (each left out in turn),
  it chooses no model. Probes are then spread over the features, and the zone's note says so.
- `eager` is for studies that can save pretraining (criteria at fractions of training, or a
  proposer). Each model is probed when it finishes, because a probe costs little compared with
  pretraining. The rule stops running trials, candidates that were not started, and finished
  models, as long as the probability that the best model is among the stopped ones is at most
  `risk`. A trial whose spectrum has collapsed is stopped at once.

The zone is an interval of alpha that holds the best model with probability `confidence`,
according to the fit. The zone decides nothing, so it can grow again. The constants below were
set by replays; experiments/landscapes/README.md says on which tables, and what else was tried.
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
from sweep.prediction.spread import balanced_sample, distant_model
from sweep.prediction.surrogate import Rows, features, fields, space

SPREAD = 0.5
"""Share of a round that is spread over the features before the first fit. With any one of eleven
tables left out, the others choose 0.5 (`experiments/landscapes/choose_spread.py`)."""
FLAT = "flat: no number that is known without labels explains the accuracy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Goldilocks:
    """Probe the models whose expected improvement is largest.

    Args:
        round: M, a number of probes. `SPREAD` of it is spread over the features; the rule does
            not end before M models are probed.
        batch: number of probes that run at once after the spread; by default a third of `round`.
        tolerance: expected gain of a probe at which the rule ends, in accuracy, 0 to 1.
        confidence: probability that the zone holds the best model.
        risk: largest probability that the best model is stopped early; with 0 no model is.
        eager: if true, probe while other models are still being pretrained. By default a study
            fills it in: true where trials are measured on the way, or a proposer orders them.
        features: the features among which the fit chooses: `everything` that is known without
            labels (all criteria, and all varied fields, names too), or only alpha and RankMe
            (`criteria`).
        seed: of the study, for the spread.
    """

    round: Annotated[int, Field(ge=4)] = 10
    batch: Annotated[int, Field(gt=0)] | None = None
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.0005
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    risk: Annotated[float, Field(ge=0, lt=1)] = 0.05
    eager: bool | None = None
    features: Literal["criteria", "everything"] = "everything"
    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"alpha"})

    def __call__(self, history: History) -> Decision:
        early_stops = self._stop_early(history)
        stopped = {verdict.trial_id for verdict in early_stops}
        zone, chosen, other_reason = history.zone, dict[int, str](), "others are measured first"
        training = bool(history.count(State.PENDING, State.TRAINING, State.PAUSED))
        training &= not history.closed
        probed = history.probed
        paid = history.count(State.PROBING, State.PROBED)
        allowed = self._allowed_probes(history, training)
        if training and self.eager:
            chosen = dict.fromkeys(
                history.waiting, "a probe costs little compared with pretraining"
            )
        elif paid < self.spread or len(probed) == 0:
            chosen = self._spread_out(history, allowed)
        if len(probed) and (zone.through < len(probed) or (allowed and not chosen)):
            zone, best, other_reason = self._best(history, 0 if chosen else allowed)
            chosen = chosen or best
        verdicts = []
        ended = not training and not chosen and not history.count(State.PROBING) and allowed > 0
        for row in history.waiting if ended else sorted({*chosen, *history.unanswered}):
            if history.trial_ids[row] in stopped:
                continue
            action: Action = "continue" if row in chosen else "stop" if ended else "hold"
            reason = chosen.get(row, other_reason)
            verdicts.append(Verdict(trial_id=history.trial_ids[row], action=action, reason=reason))
        return Decision(zone=zone, verdicts=(*early_stops, *verdicts))

    def batched(self, probes: int) -> Goldilocks:
        """Return the rule with so many probes at once."""
        return replace(self, batch=probes)

    @property
    def spread(self) -> int:
        """Number of models that are probed before the first fit."""
        return max(3, math.ceil(SPREAD * self.round))

    def _allowed_probes(self, history: History, training: bool) -> int:
        """Return how many probes may start now."""
        running = history.count(State.PROBING)
        paid = running + history.count(State.PROBED)
        if training:
            return 0
        if paid < self.spread:
            return self.spread - paid
        return max(0, (self.batch or max(2, self.round // 3)) - running)

    def _best(self, history: History, count: int) -> tuple[Zone, dict[int, str], str]:
        """Fit the response, and choose up to `count` models to probe.

        Returns:
            The zone; row -> reason of each chosen model; and the reason for all other models.
        """
        rows = np.flatnonzero(~np.isnan(history.column("alpha")))
        index = {int(row): i for i, row in enumerate(rows)}
        sets = features(history, rows, everything=self._everything)
        probed = history.probed
        known = np.array([index[int(row)] for row in probed])
        accuracies = history.column("accuracy")[probed]
        best = float(accuracies.max())
        fit = predict(sets, known, accuracies, held_out=True)
        zone = self._zone(history, rows, fit, known, best)
        waiting = np.array([index[row] for row in history.waiting], dtype=np.int64)
        running = [index[int(row)] for row in history.rows(State.PROBING)]
        chosen: dict[int, str] = {}
        gain = float(fit.improvement(best)[waiting].max()) if len(waiting) else 0.0
        other_reason = f"a probe would gain {100 * gain:.2f} points at most"
        rng = self._rng(history)
        for _ in range(count):
            if not len(waiting):
                break
            # Running probes count as if they returned the expected accuracy.
            assumed = np.concatenate([known, np.array(running, dtype=np.int64)])
            values = np.concatenate([accuracies, fit.mean[running]])
            updated = predict(sets, assumed, values, held_out=True) if running else fit
            gains = updated.improvement(best)[waiting]
            top = int(np.argmax(gains))
            if gains[top] <= self.tolerance and len(assumed) >= self.round:
                break
            if fit.skill > 0:
                model = int(waiting[top])
                reason = (
                    f"expected accuracy {fit.mean[model]:.4f} +- {fit.sd[model]:.4f}: a probe "
                    f"gains {100 * gains[top]:.2f} points over {best:.4f} ({_evidence(fit)})"
                )
            else:
                x_mF = space(history, rows, everything=self._everything)
                model = distant_model(x_mF, assumed, waiting, rng)
                reason = (
                    "far from the probed models: no feature predicts a probed model better than "
                    "the mean of the others does"
                )
            chosen[int(rows[model])] = reason
            running.append(model)
            waiting = waiting[waiting != model]
        return zone, chosen, other_reason

    def _spread_out(self, history: History, count: int) -> dict[int, str]:
        """Choose `count` waiting models that are spread over the features; row -> reason."""
        rows = np.array(history.waiting, dtype=np.int64)
        if count == 0 or len(rows) == 0:
            return {}
        x_mF = space(history, rows, everything=self._everything)
        sample = balanced_sample(x_mF, count, self._rng(history))
        reason = f"among the first {count}, which spread over all features"
        return {int(rows[model]): reason for model in sample}

    @property
    def _everything(self) -> bool:
        return self.features == "everything"

    def _rng(self, history: History) -> np.random.Generator:
        """Return the random numbers of this decision, the same for the same history."""
        paid = history.count(State.PROBING, State.PROBED)
        return np.random.default_rng([self.seed, paid])

    def _zone(
        self, history: History, rows: Rows, fit: Prediction, known: Rows, best: float
    ) -> Zone:
        """Return the alphas of the models that are likeliest the best, with a note on the shape."""
        chance = fit.exceeds(best)
        chance[known] = 0.0
        chance[known[np.argmax(history.column("accuracy")[history.probed])]] = np.prod(1 - chance)
        chance /= chance.sum()
        order = np.argsort(-chance, kind="stable")
        count = int(np.searchsorted(np.cumsum(chance[order]), self.confidence)) + 1
        alphas = history.column("alpha")[rows[order[:count]]]
        return Zone(
            lo=float(alphas.min()),
            hi=float(alphas.max()),
            through=len(known),
            note=_shape(history.column("alpha")[rows], fit),
        )

    def _stop_early(self, history: History) -> list[Verdict]:
        """Stop trials that need not be started, trained to the end, or probed.

        The probability that the best model is among all trials that were ever stopped early is
        kept at or below `risk`.
        """
        row = history.latest
        if self.risk <= 0 or row is None:
            return []
        fraction = float(history.column("fraction")[row])
        measured = history.state[row] == State.TRAINING and fraction < 1
        at = f"@{fraction:g}" if measured else ""
        if measured and np.isnan(history.column(f"alpha{at}")[row]):
            return [_stop(history, row, f"its spectrum has collapsed at {fraction:g}:", 0.0)]
        measured |= history.state[row] == State.WAITING
        probed = len(history.probed)
        new_probe = history.zone.through < probed
        if not self.eager or probed < self.spread or not (measured or new_probe):
            return []
        verdicts = []
        share, scale = _shares(history)
        collapsed = np.isnan(history.column("alpha")) & (history.column("fraction") >= 1)
        stopped = (history.state == State.STOPPED) & ~collapsed
        # The chance when the trial was stopped, or its chance now: the smaller of the two.
        spent = float(np.fmin(share, history.column("chance"))[stopped].sum())
        if measured:
            chance = scale * _chance_at(history, row, at, self.spread)
            if spent + chance <= self.risk:
                when = f"at {fraction:g} of its training" if at else "not probed:"
                verdicts.append(_stop(history, row, when, chance))
                spent += chance
        if new_probe:
            pending = history.rows(State.PENDING)
            for candidate in pending[np.argsort(share[pending], kind="stable")]:
                chance = float(share[candidate])
                spent += chance
                if spent > self.risk:
                    break
                verdicts.append(_stop(history, int(candidate), "never begun:", chance))
        return verdicts


def _chance_at(history: History, row: int, at: str, spread: int) -> float:
    """Return the probability that a trial beats the best accuracy so far.

    It is fitted to the criteria that the probed trials had at the same fraction of training. The
    probability is 1 if fewer than `spread` of them were measured there.
    """
    probed = history.probed
    probed = probed[~np.isnan(history.column(f"alpha{at}")[probed])]
    if len(probed) < spread:
        return 1.0
    rows = np.append(probed, row)
    accuracies = history.column("accuracy")[probed]
    fit = predict(features(history, rows, at=at), np.arange(len(probed)), accuracies)
    return float(fit.exceeds(float(history.column("accuracy")[history.probed].max()))[-1])


def _shares(history: History) -> tuple[Floats, float]:
    """Return each candidate's probability to be the best of all, from its varied fields alone.

    Returns:
        The probabilities, [H], 0 for candidates that failed or whose accuracy is known; together
        with the probability of the best model so far they sum to 1. And the factor that turns a
        chance to beat the best model so far into such a probability.
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


def _evidence(fit: Prediction) -> str:
    """Return the feature set of the largest weight, and its weight, as words."""
    shares = {name: share for name, share in fit.shares().items() if name != "nothing"}
    best = max(shares, key=lambda name: shares[name])
    return f"{100 * shares[best]:.0f} % of the fit by {best}"


def _shape(alphas: Floats, fit: Prediction) -> str:
    """Return a note on the shape of the response over alpha; "" if it has one clear hump."""
    shares = fit.shares()
    if fit.skill <= 0:
        return f"{FLAT} of a held-out model better than the mean; probes are spread"
    if shares.get("nothing", 0.0) > 0.5:
        return FLAT
    is_alpha = np.array([name == "alpha" for name in fit.names])
    if sum(share for name, share in shares.items() if "alpha" in name) < 0.2 or len(alphas) < 4:
        return ""
    weight = fit.weight_K[is_alpha] / fit.weight_K[is_alpha].sum()
    order = np.argsort(alphas)
    mean = (weight @ fit.mean_KM[is_alpha])[order]
    spread = float(mean.max() - mean.min())
    top = int(np.argmax(mean))
    if top in (0, len(mean) - 1):
        side = "smallest" if top == 0 else "largest"
        return f"monotone: the {side} alphas look best, and alphas beyond them may be better"
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
