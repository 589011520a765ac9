"""The nouns of a study: what a trial reports, what a rule decides, what the log keeps.

Frozen values only: no behaviour beyond adding costs and turning into JSON. The
words here are used everywhere: study, candidate, trial, event, observation,
measure, verdict, zone, cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MeasureStatus = Literal["ok", "poor_fit", "degenerate", "nonfinite"]
Stage = Literal["pretrain", "trained", "measured", "probed", "tested"]
Action = Literal["continue", "hold", "stop"]
EventKind = Literal[
    "study",  # config, versions, commit: once, first
    "session",  # a driver began: host, pid; once a run or resume
    "candidate",  # one point of the space: trial_id, its varied fields, its config
    "start",  # a runner put the trial to work: attempt
    "observation",  # what the trial saw
    "verdict",  # what the rule says of one trial
    "zone",  # the interval that the rule believes in, whenever it changes
    "dropped",  # its encoder is removed from disk, as `resources.keep` says
    "failure",  # an attempt that ended in an exception
    "idle",  # nothing runs and nothing may start: whoever is held must be decided
    "budget",  # a changed budget, on resume
    "finish",  # the study is over: winner, ties, why it ended
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Seconds that something took; costs add.

    Args:
        wall_seconds: seconds on the clock.
        device_seconds: wall seconds times the share of devices held (GPUs, or CPU cores
            where there is no GPU).
    """

    wall_seconds: float = 0.0
    device_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            wall_seconds=self.wall_seconds + other.wall_seconds,
            device_seconds=self.device_seconds + other.device_seconds,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One number with its name and whether it can be believed.

    Args:
        name: `alpha`, `rankme`, `accuracy`, `loss`, ...
        value: the number, or None where status is degenerate or nonfinite.
        status: `ok`; `poor_fit` (usable, flagged); `degenerate` (a collapsed spectrum);
            `nonfinite` (NaN or infinity).
        detail: what was done to get it: window, R^2, images used, why it failed.
    """

    name: str
    value: float | None
    status: MeasureStatus = "ok"
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        usable = self.status in ("ok", "poor_fit")
        if usable != (self.value is not None and math.isfinite(self.value)):
            raise ValueError(f"measure {self.name}: value {self.value} with status {self.status}")

    @property
    def usable(self) -> bool:
        """True where the value may be compared with others'."""
        return self.value is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What a trial yields: a stage reached, measures taken, seconds spent.

    `(stage, step)` names an observation within its trial, for good: an attempt that
    repeats a step yields the same name again, and the study keeps the first.

    Args:
        stage: `pretrain` (progress), `trained`, `measured`, `probed`, `tested`; `measured`
            and `probed` also while it trains, at a fraction below 1.
        step: optimiser steps done.
        fraction: part of pretraining done, 0 to 1.
        measures: numbers taken here.
        cost: seconds since the trial's previous observation.
        detail: anything else worth a row: checkpoint, device, spectrum.
    """

    stage: Stage
    step: int
    fraction: float = 1.0
    measures: tuple[Measure, ...] = ()
    cost: Cost = Cost()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def measure(self, name: str) -> Measure | None:
        """Return the measure of that name, or None."""
        return next((m for m in self.measures if m.name == name), None)

    @property
    def final(self) -> bool:
        """True at the end of pretraining, False for what was seen on the way there."""
        return self.fraction >= 1.0

    @property
    def broken(self) -> str | None:
        """Why such a model is never probed: its loss or its spectrum is no number; or None."""
        name = {"trained": "loss", "measured": "alpha"}.get(self.stage, "")
        measure = self.measure(name) if self.final or self.stage == "trained" else None
        if measure is None or measure.usable:
            return None
        return f"{name} is {measure.status}: {measure.detail.get('reason', 'no number')}"

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, without NaN; the details are shared.

        Equivalent to `dataclasses.asdict`, which takes ten times as long.
        """
        cost = self.cost
        return {
            "stage": self.stage,
            "step": self.step,
            "fraction": self.fraction,
            "measures": [
                {"name": m.name, "value": m.value, "status": m.status, "detail": m.detail}
                for m in self.measures
            ],
            "cost": {"wall_seconds": cost.wall_seconds, "device_seconds": cost.device_seconds},
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Observation:
        """Read what `to_json` wrote; what a later version adds is left out."""
        return cls(
            stage=payload["stage"],
            step=payload["step"],
            fraction=payload.get("fraction", 1.0),
            measures=tuple(Measure(**m) for m in payload.get("measures", ())),
            cost=Cost(**payload.get("cost", {})),
            detail=payload.get("detail", {}),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """An interval of alpha in which the rule looks for the best model; None is unbounded.

    Args:
        lo, hi: bounds, inclusive.
        through: how much evidence is folded into it: rounds or probes, as the rule counts.
        note: what a person should know of the response over alpha, if anything.
    """

    lo: float | None = None
    hi: float | None = None
    through: int = 0
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
    """What the rule says of one waiting trial. `hold` is revocable, `stop` is final.

    Args:
        trial_id: of whom.
        action: what it is to do.
        reason: a sentence for people.
        chance: with which a trial that is stopped is the best of all, where the rule knows.
    """

    trial_id: str
    action: Action
    reason: str
    chance: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A rule's whole answer: the zone it believes in and a verdict per waiting trial."""

    zone: Zone
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One line of the log. The driver gives every event one `seq`, from 0, without gaps.

    Args:
        seq: position in the log.
        time: seconds since the epoch, the driver's clock.
        kind: see `EventKind`.
        trial_id: the trial it is about, or "" for the study.
        attempt: the trial's attempt, from 1; 0 where none has begun.
        payload: JSON, by kind.
    """

    seq: int
    time: float
    kind: EventKind
    trial_id: str = ""
    attempt: int = 0
    payload: Mapping[str, Any] = field(default_factory=dict)
