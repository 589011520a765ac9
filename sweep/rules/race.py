"""Race: train a little of many candidates, and all of the few that may become the best.

Whenever a worker is free, the rule fits a joint model of configuration and fraction of training
(`sweep.prediction.joint`) to the accuracies at the looks so far. The trial that goes on to its next
look is the one with the largest chance to become the best of all per device-second that it still
takes. A worker idles where the best free trial has less than `focus` of the largest such ratio of
the trials at work: one model after another to the end costs less than many at once. The study ends
when at least three models are finished and what is left is expected to gain no more than
`tolerance_points`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sweep.core.history import Floats, History, State
from sweep.core.records import Decision, Verdict
from sweep.prediction.axes import LENGTHS, Lengths, coordinates
from sweep.prediction.belief import believed
from sweep.prediction.earlier import Source
from sweep.prediction.few_labels import LOOK, SPECTRUM, finish_few
from sweep.prediction.joint import LIBRARY, Belief, Constants
from sweep.prediction.surrogate import Rows, whole_seconds

FIRST_LOOKS = 10
"""Looks that are needed before the model chooses: about two per parameter of a space of four axes.
With four looks and four workers, a study sometimes ended before it had found the good part of a
large space, and a wrong prior did more harm."""
FIRST_FINISHED = 3
"""Models that are finished before the study may end: until then the scale of the accuracies at the
end of training is a guess, and some studies ended on it before they had found the best models."""
LEAST_REMAINS = 0.02
"""Part of a training that a trial counts as having before it, so that no chance is divided by 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """Go on with the trial that is likeliest to become the best, per device-second.

    Args:
        tolerance_points: expected gain in points of accuracy at which the study ends.
        save: `device`: workers may idle, which saves device-seconds; `time`: no worker idles,
            for machines that are paid for in any case.
        labels: `looks`: labels are read at each look; `end`: only fully trained models are
            probed, `models` of them at most, and a first look of every candidate reads no label.
        models: the largest number of models that `labels = "end"` finishes.
        at: the fractions of training of the looks, in a replay; in a study `probe.at` says them,
            or `criteria.at` with `labels = "end"`. By default a replay has every look of its
            table, or one look at 1/16 with `labels = "end"`.
        focus: a worker idles where the best trial it could take has less than this part of the
            largest chance per device-second of the trials at work.
        prior: earlier studies that the rule learns from: addresses of studies, tables or files of
            `sweep prior`. `shipped` is the prior of the study's method that comes with sweep,
            where there is one; `none`, or no address, is no prior.
        sources: what the prior says; the study reads them.
        seed: of the draws.
    """

    tolerance_points: Annotated[float, Field(gt=0, lt=100)] = 0.01
    save: Literal["device", "time"] = "device"
    labels: Literal["looks", "end"] = "looks"
    models: Annotated[int, Field(gt=0)] = 10
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    focus: Annotated[float, Field(ge=0, le=1)] = 0.1
    prior: str | tuple[str, ...] = "shipped"
    sources: tuple[Source, ...] = ()
    seed: int = 0
    begins: ClassVar[bool] = True
    library: ClassVar[tuple[Constants, ...]] = LIBRARY
    lengths: ClassVar[Lengths] = LENGTHS

    @property
    def online(self) -> bool:
        """True if it decides by probes at fractions of training."""
        return self.labels == "looks"

    @property
    def early(self) -> bool:
        """True if it decides by measures without labels at a fraction of training."""
        return self.labels == "end"

    @property
    def needs(self) -> frozenset[str]:
        """The criteria by which it decides."""
        return frozenset(SPECTRUM if self.early else ())

    @property
    def looks(self) -> tuple[float, ...] | None:
        """The fractions at which a replay shows the trials; None is all."""
        return self.at or ((LOOK,) if self.early else None)

    def __call__(self, history: History) -> Decision:
        if self.early:
            return finish_few(history, models=self.models, sources=self.sources)
        ids, zone = history.trial_ids, history.zone
        if rows := self._finished(history):
            reason = "it is trained to the end"
            return Decision(zone=zone, verdicts=history.verdicts(rows, "continue", reason))
        arrived = _arrived(history)
        if arrived is not None and not 0 <= (accuracy := _latest(history, arrived)) <= 1:
            reason = f"its accuracy is {accuracy:g}, and must lie between 0 and 1"
            return Decision(zone=zone, verdicts=history.verdicts([arrived], "stop", reason))
        contenders = _contenders(history, arrived)
        running = [int(row) for row in history.rows(State.TRAINING, State.PROBING)]
        if arrived is not None:
            running.remove(arrived)
        free = history.workers - len(running)
        if not history.may_train or history.probes_left == 0:
            return _wind_up(history, contenders, running, arrived)
        chosen, idle = dict[int, str](), "every worker is taken" if free < 1 else ""
        if free >= 1 and contenders:
            belief, seen = believed(
                history,
                sources=self.sources,
                seed=self.seed,
                library=self.library,
                lengths=self.lengths,
            )
            chosen, idle = self._choose(history, belief, seen, contenders, running, free)
            # The verdict on the trial that arrived comes first: after a crash amid the verdicts,
            # the rule gives the others again.
            if not running and not chosen:
                rows = sorted(contenders, key=lambda row: row != arrived)
                return _end(history, belief, rows, idle)
        verdicts: list[Verdict] = []
        if arrived is not None and arrived not in chosen:
            first = next(iter(chosen.items()), None)
            reason = f"{ids[first[0]]} goes on in its place: {first[1]}" if first else idle
            verdicts += history.verdicts([arrived], "hold", idle or reason)
        for row, reason in chosen.items():
            if history.state[row] == State.PAUSED:
                verdicts += history.verdicts([row], "continue", reason)
        begin = next((row for row in chosen if history.state[row] == State.PENDING), None)
        if begin is not None:
            decision = Decision(zone=zone, begin=ids[begin], reason=chosen[begin])
        elif running or chosen:
            decision = Decision(zone=zone, idle=idle or "no candidate is left to begin")
        else:
            decision = Decision(zone=zone)
        return replace(decision, verdicts=tuple(verdicts))

    def _choose(
        self,
        history: History,
        belief: Belief,
        seen: int,
        contenders: list[int],
        running: list[int],
        free: int,
    ) -> tuple[dict[int, str], str]:
        """Return the trials that go on, row -> why, and why the other free workers idle."""
        chosen, left = dict[int, str](), list(contenders)
        while len(chosen) < free and left:
            row, text = self._pick(history, belief, seen, left, [*running, *chosen])
            if row is None:
                return chosen, text
            chosen[row] = text
            left.remove(row)
            if history.state[row] == State.PENDING:
                break  # it has to begin before the rule answers for the next worker
        return chosen, ""

    def _finished(self, history: History) -> list[int]:
        """Return the rows that are trained to the end and may be probed now."""
        return history.unanswered if history.probes_left == 0 else history.waiting

    def _pick(
        self,
        history: History,
        belief: Belief,
        seen: int,
        contenders: list[int],
        running: list[int],
    ) -> tuple[int | None, str]:
        """Return the row of the trial that goes on, and why; or None, and why a worker idles."""
        begun = len(history) - history.count(State.PENDING)
        if seen < FIRST_LOOKS:
            pending = [row for row in contenders if history.state[row] == State.PENDING]
            if pending and begun < max(history.workers, FIRST_LOOKS):
                return _farthest(history, pending), f"among the first {FIRST_LOOKS} looks"
            if running and self.save == "device":
                return None, f"{seen} looks are known, and the model needs {FIRST_LOOKS}"
        finished = history.count(State.PROBED)
        if finished >= FIRST_FINISHED and belief.left <= self.tolerance_points:
            return None, f"all that is left is expected to gain {belief.left:.3f} points"
        rows = np.array([*contenders, *running])
        value = belief.chance_H[rows] / _remaining_seconds(history, rows)
        own = value[: len(contenders)]
        best = int(np.lexsort((-belief.mean_H[rows[: len(contenders)]], -own))[0])
        row = contenders[best]
        chance = f"it is the best of all with probability {belief.chance_H[row]:.3f}"
        if self.save == "device" and running:
            most = float(value[len(contenders) :].max())
            if own[best] < self.focus * most:
                return None, (
                    f"the trials at work are {most / max(own[best], 1e-12):.3g} times as promising "
                    "per device-second as any that waits"
                )
        return row, chance


def _arrived(history: History) -> int | None:
    """Return the row of the trial whose accuracy at a look is the last event, or None.

    A look without a number, or one that only took measures, changes nothing: the trial goes on.
    """
    row = history.arrived
    return None if row is None or np.isnan(_latest(history, row)) else row


def _latest(history: History, row: int) -> float:
    """Return the accuracy of a trial at the look where it is, NaN if there is none."""
    fraction = float(np.nan_to_num(history.column("fraction")[row]))
    return float(history.column(f"accuracy@{fraction:g}")[row])


def _contenders(history: History, arrived: int | None) -> list[int]:
    """Return the rows that a free worker may take."""
    rows = [int(row) for row in history.rows(State.PAUSED)]
    if arrived is not None:
        rows.append(arrived)
    if history.may_begin:
        rows += [int(row) for row in history.rows(State.PENDING)]
    return rows


def _farthest(history: History, pending: list[int]) -> int:
    """Return the pending candidate that is farthest from all that have begun."""
    x_HF = coordinates(history)
    begun = np.flatnonzero(history.state != State.PENDING)
    if not len(begun):
        centre_F = x_HF.mean(0)
        return pending[int(np.argmin(((x_HF[pending] - centre_F) ** 2).sum(1)))]
    distance = ((x_HF[pending][:, None] - x_HF[begun][None, :]) ** 2).sum(-1).min(1)
    return pending[int(np.argmax(distance))]


def _remaining_seconds(history: History, rows: Rows) -> Floats:
    """Return the device-seconds that each trial still takes to its end, predicted."""
    fraction = np.nan_to_num(history.column("fraction"))
    whole = whole_seconds(history)
    return np.asarray(whole[rows] * np.maximum(1 - fraction[rows], LEAST_REMAINS))


def _end(history: History, belief: Belief, rows: list[int], reason: str) -> Decision:
    """Stop all trials that are left, each with its chance to be the best."""
    return Decision(
        zone=history.zone,
        verdicts=tuple(
            replace(verdict, chance=float(belief.chance_H[row]))
            for row, verdict in zip(rows, history.verdicts(rows, "stop", reason), strict=True)
        ),
    )


def _wind_up(
    history: History, contenders: list[int], running: list[int], arrived: int | None
) -> Decision:
    """Let what runs end at its next look, and one model be finished if none is.

    The others wait, so that a resume with a larger budget goes on with them.
    """
    reason = "the budget is spent"
    begun = [row for row in contenders if history.state[row] != State.PENDING]
    chosen: list[int] = []
    if not running and not len(history.probed) and begun and history.probes_left != 0:
        chosen = [max(begun, key=lambda row: _reached(history, row))]
    held = [arrived] if arrived is not None and arrived not in chosen else []
    paused = [row for row in chosen if history.state[row] == State.PAUSED]
    verdicts = history.verdicts(held, "hold", reason)
    verdicts += history.verdicts(paused, "continue", "no model is finished yet")
    return Decision(zone=history.zone, verdicts=verdicts, idle=reason if running else "")


def _reached(history: History, row: int) -> tuple[float, float]:
    """Return how far a trial is, and its accuracy there."""
    fraction = float(np.nan_to_num(history.column("fraction")[row]))
    return fraction, float(np.nan_to_num(_latest(history, row), nan=-1.0))
