"""The default rule: learn from each probe which models are worth the next one.

A response is fitted with noise (`sweep.response`) to the accuracies known so far, over alpha
and whatever else is known without labels: RankMe, the varied fields, the fit of alpha, the
loss. Direction and shape are learned; nothing is assumed to lie near alpha = 1.

- While models are still being pretrained nobody is probed: a probe is chosen best when all
  alphas are known, and pretraining keeps every worker busy meanwhile.
- Once all are measured, a few that spread over alpha's range; then the models of largest
  expected improvement, some at a time, until another probe is expected to gain no more than
  `tolerance`. The rest is stopped.
- `eager`, where pretraining can be saved (criteria at fractions of training, or a proposer):
  the first M models that finish are probed, and then every other one that may be the best. A
  trial is stopped early, and a candidate never begun, once it is the best with a probability
  of at most `risk`; at once where its spectrum has collapsed.

The zone is an interval of alpha that holds the best model with probability `confidence`, as
far as the fit can tell. Nobody outside it is stopped before the end, so it can open again.
The constants below are set by replays; see the README for the tables they were set on.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sweep.config import RuleConfig
from sweep.history import Floats, History, State
from sweep.records import Action, Decision, Verdict, Zone
from sweep.response import Prediction, predict, ranked

Rows = npt.NDArray[np.int64]

CRITERIA = ("alpha", "rankme", "alpha_r2", "loss")


@dataclass(frozen=True, kw_only=True, slots=True)
class Goldilocks:
    """Probe where the expected improvement is largest.

    Args:
        round: M; half of it is probed first, and all of it before anything is trusted.
        batch: probes at once in the end; by default a third of `round`.
        tolerance: of accuracy, 0 to 1: the expected gain at which it stops.
        confidence: of the zone.
        risk: of stopping the best model early; 0 stops nobody early.
        eager: probe while others are still being pretrained.
    """

    round: int = 10
    batch: int | None = None
    tolerance: float = 0.001
    confidence: float = 0.9
    risk: float = 0.05
    eager: bool = False

    @classmethod
    def from_config(cls, config: RuleConfig) -> Goldilocks:
        return cls(
            round=config.round,
            tolerance=config.tolerance,
            confidence=config.confidence,
            risk=config.risk,
            eager=bool(config.eager),
        )

    def __call__(self, history: History) -> Decision:
        early = [*self._stop_early(history), *self._leave_out(history)]
        zone, chosen, why = history.zone, dict[int, str](), "others are measured first"
        coming = bool(history.count(State.PENDING, State.TRAINING, State.PAUSED))
        coming &= not history.closed
        probed = history.probed
        want = self._wanted(history, coming)
        paid = history.count(State.PROBING, State.PROBED)
        if paid < self.spread or len(probed) == 0:
            chosen = _spread(history, want)
        elif want or zone.through < len(probed):
            zone, chosen, why = self._best(history, want)
        verdicts = []
        done = not coming and not chosen and not history.count(State.PROBING) and want > 0
        for row in history.waiting:
            action: Action = "continue" if row in chosen else "stop" if done else "hold"
            reason = chosen.get(row, why)
            verdicts.append(Verdict(trial_id=history.trial_ids[row], action=action, reason=reason))
        return Decision(zone=zone, verdicts=(*early, *verdicts))

    @property
    def spread(self) -> int:
        """Models that are probed before anything is fitted."""
        return max(3, self.round // 2)

    def _wanted(self, history: History, coming: bool) -> int:
        """Return how many probes may begin now."""
        inflight = history.count(State.PROBING)
        paid = inflight + history.count(State.PROBED)
        measured = int((~np.isnan(history.column("alpha"))).sum())
        if coming and not self.eager:
            return 0
        if coming:
            return max(0, measured - max(0, measured - self.round) // 2 - paid)
        if paid < self.spread:
            return self.spread - paid
        return max(0, (self.batch or max(2, self.round // 3)) - inflight)

    def _best(self, history: History, want: int) -> tuple[Zone, dict[int, str], str]:
        """Fit, and return the zone, whom to probe and why, and why not the others."""
        rows = np.flatnonzero(~np.isnan(history.column("alpha")))
        place = {int(row): i for i, row in enumerate(rows)}
        sets = _features(history, rows)
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

    def _stop_early(self, history: History) -> list[Verdict]:
        """Judge the trial that was just looked at, by what others showed at the same fraction."""
        row = history.latest
        if self.risk <= 0 or row is None or history.state[row] != State.TRAINING:
            return []
        fraction = history.column("fraction")[row]
        if not fraction < 1:
            return []
        alphas = history.column(f"alpha@{fraction:g}")
        if np.isnan(alphas[row]):
            return [_stop(history, row, f"its spectrum has collapsed at {fraction:g}")]
        probed = history.probed[~np.isnan(alphas[history.probed])]
        if len(probed) <= self.spread:
            return []
        rows = np.append(probed, row)
        sets = _features(history, rows, at=f"@{fraction:g}")
        accuracies = history.column("accuracy")[probed]
        best = float(accuracies.max())
        fit = predict(sets, np.arange(len(probed)), accuracies)
        chance = float(fit.exceeds(best)[-1])
        if chance > self.risk:
            return []
        reason = f"at {fraction:g} of its training it is the best with probability {chance:.3f}"
        return [_stop(history, row, reason)]

    def _leave_out(self, history: History) -> list[Verdict]:
        """Judge the candidates that have not begun, by the fields in which they differ."""
        probed, pending = history.probed, history.rows(State.PENDING)
        fresh = history.zone.through < len(probed)
        if not (self.eager and fresh and self.risk > 0 and len(probed) >= self.round):
            return []
        rows = np.concatenate([probed, pending])
        sets = {
            name: features
            for name, features in _features(history, rows).items()
            if name in ("nothing", "the varied fields", "lambda * d")
        }
        accuracies = history.column("accuracy")[probed]
        best = float(accuracies.max())
        fit = predict(sets, np.arange(len(probed)), accuracies)
        chances = fit.exceeds(best)[len(probed) :]
        return [
            _stop(history, int(row), f"never begun: it is the best with probability {chance:.3f}")
            for row, chance in zip(pending, chances, strict=True)
            if chance <= self.risk
        ]


def _features(history: History, rows: Rows, *, at: str = "") -> dict[str, Floats]:
    """Return the sets of numbers over which the response is fitted, ranked among `rows`."""
    criteria = {name: history.column(name + at)[rows] for name in CRITERIA}
    varied = {name: history.column(name)[rows] for name in history.varied if name != "seed"}
    varied = {n: c for n, c in varied.items() if len(np.unique(c[~np.isnan(c)])) > 1}
    groups = {"the varied fields": list(varied.values())}
    if "d" in varied and "lambd" in varied:
        # The better-conditioned axis: over a 128-fold range of d, the authors' best lambda
        # keeps lambda * d between 1.5 and 6.6.
        groups["lambda * d"] = [varied["lambd"] * varied["d"]]
    known = {name: c for name, c in criteria.items() if not np.isnan(c).all()}
    both = [known[name] for name in ("alpha", "rankme") if name in known]
    sets: dict[str, list[Floats]] = {"nothing": []}
    sets |= {name: [known[name]] for name in ("alpha", "rankme") if name in known}
    if len(both) == 2:
        sets["alpha and rankme"] = both
    for name, columns in groups.items():
        if columns:
            sets[name] = columns
            if "alpha" in known:
                sets[f"alpha and {name}"] = [known["alpha"], *columns]
    if len(known) > 2:
        sets["everything"] = [*known.values(), *itertools.chain(*groups.values())]
    empty = np.zeros((len(rows), 0))
    return {name: ranked(columns) if columns else empty for name, columns in sets.items()}


def _spread(history: History, count: int) -> dict[int, str]:
    """Return `count` waiting models, in the middles of as many parts of their alphas."""
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


def _stop(history: History, row: int, reason: str) -> Verdict:
    return Verdict(trial_id=history.trial_ids[row], action="stop", reason=reason)
