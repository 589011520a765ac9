"""What the results of a user's own trainable say: observations of a trial, in order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from ray.tune.experiment import Trial

from sweep.core.limits import LARGEST
from sweep.core.records import Cost, Measure, Observation, Stage

NEARLY = 1e-9
"""A fraction may exceed 1 by so much: quotients are rounded."""


class BadReport(ValueError):
    """A result holds what cannot be; the message is a sentence for the user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Names in the results: of the criterion, the accuracy and the fraction of training."""

    alpha: str = "alpha"
    accuracy: str = "accuracy"
    fraction: str = "fraction"


@dataclass(slots=True)
class Reports:
    """The results of one trial so far.

    Args:
        keys: names in the results.
    """

    keys: Keys
    _looks: dict[Stage, float] = field(default_factory=dict)  # the last fraction of each stage
    _step: int = -1
    _seconds: float = 0.0

    @property
    def looked(self) -> bool:
        """True if the trial reported a look during training."""
        return bool(self._looks)

    def fraction(self, result: Mapping[str, Any]) -> float:
        """Return the share of training done, 1 where the result does not say.

        Raises:
            BadReport: it is no number above 0 and at most 1.
        """
        value = result.get(self.keys.fraction, 1.0)
        fraction = number_of(value)
        if not 0 < fraction <= 1 + NEARLY:
            raise BadReport(
                f"{self.keys.fraction} is {value!r}. It must be above 0 and at most 1, the share "
                "of training that is done. Leave it out where the result is final."
            )
        return min(fraction, 1.0)

    def look(self, result: Mapping[str, Any], trial: Trial) -> Observation | None:
        """Return the look during training that a result reports, or None.

        A look at a fraction that the trial has passed is not a new one: an attempt that goes on
        from an older checkpoint repeats looks.

        Raises:
            BadReport: a number is none.
        """
        names = [(self.keys.accuracy, "accuracy"), (self.keys.alpha, "alpha")]
        measures = [_measure(name, key, result) for key, name in names if key in result]
        if not measures:
            return None
        stage: Stage = "probed" if measures[0].name == "accuracy" else "measured"
        fraction = self.fraction(result)
        if fraction <= self._looks.get(stage, 0.0):
            return None
        self._looks[stage] = fraction
        return self._observation(stage, fraction, tuple(measures), result, trial)

    def final(
        self, stage: Stage, name: str, key: str, result: Mapping[str, Any], trial: Trial
    ) -> Observation:
        """Return an observation at the end of training.

        Args:
            stage: `measured` or `probed`.
            name: of the measure.
            key: of the measure in the result.
            result: Tune's.
            trial: Tune's.

        Raises:
            BadReport: the number is none.
        """
        return self._observation(stage, 1.0, (_measure(name, key, result),), result, trial)

    def _observation(
        self,
        stage: Stage,
        fraction: float,
        measures: tuple[Measure, ...],
        result: Mapping[str, Any],
        trial: Trial,
    ) -> Observation:
        self._step = max(self._step + 1, int(result.get("training_iteration", 0)))
        total = number_of(result.get("time_total_s", 0.0))
        seconds = max(0.0, total - self._seconds) if math.isfinite(total) else 0.0
        self._seconds += seconds
        cost = Cost(wall_seconds=seconds, device_seconds=seconds * _devices(trial))
        return Observation(
            stage=stage, step=self._step, fraction=fraction, measures=measures, cost=cost
        )


def point_of(config: Mapping[str, Any], prefix: str = "") -> dict[str, float | str | bool]:
    """Return the numbers, texts and truth values of a config, also of its inner tables."""
    point: dict[str, float | str | bool] = {}
    for name, value in config.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            point |= point_of(value, f"{path}.")
        elif isinstance(value, str | bool):
            point[path] = value
        elif isinstance(value, Real) and abs(number := number_of(value)) < LARGEST:
            point[path] = number
    return point


def _measure(name: str, key: str, result: Mapping[str, Any]) -> Measure:
    value = result[key]
    number = number_of(value)
    if math.isfinite(number):
        if abs(number) >= LARGEST:
            raise BadReport(f"{key} is {number:g}, which is too large to compute with.")
        return Measure(name=name, value=number)
    if not isinstance(value, Real) and not hasattr(value, "__float__"):
        raise BadReport(f"{key} is {value!r}, and must be a number.")
    return Measure(
        name=name, value=None, status="nonfinite", detail={"reason": f"reported as {number}"}
    )


def number_of(value: Any) -> float:
    """Return a number as a float; NaN for anything else."""
    try:
        return math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:
        return math.inf


def _devices(trial: Trial) -> float:
    """Return the GPUs that a trial holds, or its cores where it has no GPU."""
    group = trial.placement_group_factory
    if group is None:
        return 1.0
    needs = group.required_resources
    return float(needs.get("GPU") or needs.get("CPU") or 1.0)
