"""The nouns of a study: what a trial reports, what a rule decides, what a study comes to.

Frozen values only. The words here are used everywhere: study, candidate, trial, observation,
measure, verdict, zone, cost, outcome. What the log keeps of them: `sweep.core.events`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from sweep.core.limits import Count, EveryField, Fraction, Name, Number, Seconds

MeasureStatus = Literal["ok", "poor_fit", "degenerate", "nonfinite"]
Stage = Literal["pretrain", "trained", "measured", "probed", "tested"]
Action = Literal["continue", "hold", "stop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost(EveryField):
    """Seconds that something took; costs add.

    Args:
        wall_seconds: seconds on the clock.
        device_seconds: wall seconds times the share of devices held (GPUs, or CPU cores
            where there is no GPU).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    wall_seconds: Seconds = 0.0
    device_seconds: Seconds = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            wall_seconds=self.wall_seconds + other.wall_seconds,
            device_seconds=self.device_seconds + other.device_seconds,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure(EveryField):
    """One number with its name and whether the number can be used.

    Args:
        name: `alpha`, `rankme`, `accuracy`, `loss`, ...
        value: the number, or None where status is degenerate or nonfinite.
        status: `ok`; `poor_fit` (usable, flagged); `degenerate` (a collapsed spectrum);
            `nonfinite` (NaN or infinity).
        fatal: True if a model is given up where this measure has no usable value; see
            `Observation.condemned`.
        detail: how it was measured: window, R^2, images used, why it failed.

    Raises:
        ValueError: status and value contradict each other.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    value: Number | None
    status: MeasureStatus = "ok"
    fatal: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        usable = self.status in ("ok", "poor_fit")
        if usable != (self.value is not None and math.isfinite(self.value)):
            raise ValueError(f"measure {self.name}: value {self.value} with status {self.status}")

    @property
    def usable(self) -> bool:
        """True where the value may be compared with those of other models."""
        return self.value is not None


MEASURES_OF_PROBE = ("balanced_accuracy", "macro_f1", "top5_accuracy")
"""What a probe measures beside its accuracy. The detail of the accuracy holds them."""

_FROM_LABELS = frozenset(
    {
        "accuracy",
        "accuracies",
        "acc",
        "acc1",
        "acc5",
        "top1",
        "top5",
        "f1",
        "recall",
        "auc",
        "auroc",
    }
)
"""Words in the names of measures that come from labels."""


def from_labels(name: str) -> bool:
    """Return whether a measure of this name comes from labels: an accuracy or its kin.

    True for `val_acc`, `macro_f1`, `accuracy@few=0.01` and `accuracy_se`, for instance. What a rule
    chooses without labels does not depend on such a column.
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    return not _FROM_LABELS.isdisjoint(words) or "accuracy" in name.lower()


def measures_of_probe(detail: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return measure -> (value, low, high) in the detail of an accuracy, with 95 % intervals.

    What does not have this form, as in a log of another program, is left out.
    """
    found = _with_intervals(detail.get("further"))
    return {name: found[name] for name in MEASURES_OF_PROBE if name in found}


def maximised(measure: Measure) -> tuple[float, float, float] | None:
    """Return value, low and high of `probe.metric` in the detail of an accuracy.

    None if the accuracy itself is what the study maximises.
    """
    name = measure.detail.get("maximised")
    return measures_of_probe(measure.detail).get(name) if isinstance(name, str) else None


def few_labels(detail: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return number of labels -> (accuracy, low, high) in the detail of an accuracy.

    The numbers are as in `probe.few`.
    """
    return _with_intervals(detail.get("few"))


def _with_intervals(given: Any) -> dict[str, tuple[float, float, float]]:
    """Return what has the form name -> three finite numbers."""
    found: dict[str, tuple[float, float, float]] = {}
    for name, values in given.items() if isinstance(given, Mapping) else ():
        match values:
            case [int() | float() as value, int() | float() as low, int() | float() as high]:
                if all(math.isfinite(number) for number in (value, low, high)):
                    found[name] = (float(value), float(low), float(high))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation(EveryField):
    """What a trial yields: a stage reached, measures taken, seconds spent.

    `(stage, step)` names an observation within its trial. An attempt that repeats a step
    yields the same name again, and the study keeps the first observation of a name.

    Args:
        stage: `pretrain` (progress), `trained`, `measured`, `probed`, `tested`. A trial may
            also be `measured` and `probed` while it trains, at a fraction below 1.
        step: optimiser steps done.
        fraction: share of pretraining done, 0 to 1.
        measures: numbers taken here.
        cost: seconds since the trial's previous observation.
        detail: anything else worth a row: checkpoint, device, spectrum.
    """

    stage: Stage
    step: Count
    fraction: Fraction = 1.0
    measures: tuple[Measure, ...] = ()
    cost: Cost = Cost()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def measure(self, name: str) -> Measure | None:
        """Return the measure of that name, or None."""
        return next((m for m in self.measures if m.name == name), None)

    @property
    def final(self) -> bool:
        """True at the end of pretraining, False at a look during pretraining."""
        return self.fraction >= 1.0

    @property
    def condemned(self) -> Measure | None:
        """The measure for which the model is given up and never probed, or None.

        Only `trained` and the final `measured` can condemn a model. Such an observation does so
        where a measure with `fatal` has no usable value, or where none of its measures has one.
        """
        if self.stage != "trained" and not (self.stage == "measured" and self.final):
            return None
        unusable = [measure for measure in self.measures if not measure.usable]
        if len(unusable) < len(self.measures):
            unusable = [measure for measure in unusable if measure.fatal]
        return unusable[0] if unusable else None

    @property
    def broken(self) -> str | None:
        """Why the model is given up, in a few words; None where it is not."""
        if (measure := self.condemned) is None:
            return None
        return f"{measure.name} is {measure.status}: {measure.detail.get('reason', 'no number')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone(EveryField):
    """An interval of alpha in which the rule looks for the best model; None is unbounded.

    Args:
        lo, hi: bounds, inclusive.
        through: amount of evidence behind the interval: rounds or probes, as the rule counts.
        note: what a person should know of the response over alpha, if anything.
    """

    lo: Number | None = None
    hi: Number | None = None
    through: Count = 0
    note: str = ""

    def holds(self, alpha: float) -> bool:
        """True if alpha lies within the bounds."""
        return (self.lo is None or alpha >= self.lo) and (self.hi is None or alpha <= self.hi)

    def __str__(self) -> str:
        lo = "-inf" if self.lo is None else f"{self.lo:.3f}"
        hi = "inf" if self.hi is None else f"{self.hi:.3f}"
        return f"[{lo}, {hi}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the rule decides about one waiting trial. `hold` can be revoked, `stop` is final.

    Args:
        trial_id: the trial that the verdict is about.
        action: what the trial is to do.
        reason: a sentence for people.
        chance: probability that a trial which is stopped is the best of all, where the rule
            knows it.
    """

    trial_id: str
    action: Action
    reason: str
    chance: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A rule's whole answer.

    Args:
        zone: the interval of alpha in which the rule looks.
        verdicts: one for each waiting trial that the rule decides now.
        begin: the pending trial that a free worker begins next; only from a rule with `begins`.
        idle: why a free worker had better do nothing until the next event; "" where it works.
        reason: why `begin` is chosen, a sentence for people.
    """

    zone: Zone
    verdicts: tuple[Verdict, ...] = ()
    begin: str | None = None
    idle: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome(EveryField):
    """The end of a study; `sweep.core.outcome` computes it.

    Args:
        winner: the trial with the best validation accuracy, the first of equals; None
            where nothing was probed.
        accuracy: the winner's, on the validation split, 0 to 1.
        interval: its 95 % Wilson interval, for the images of the validation split; None
            where their number is not known. The interval does not account for the choice of the
            best of several.
        ties: other trials whose accuracy does not differ from the winner's at 95 %.
        zone: the interval of alpha in which the rule last looked.
        probes_paid: models probed.
        probes_saved: models pretrained and measured that were not probed.
        reason: why the study ended.
    """

    winner: Name | None
    accuracy: Number | None
    interval: tuple[Number, Number] | None
    ties: tuple[Name, ...]
    zone: Zone
    probes_paid: Count
    probes_saved: Count
    reason: str
