"""A complete table of trials: what every candidate would report, and at what cost.

`sweep.replay.simulate` replays rules over such tables, `sweep.replay.landscape_files` reads and
writes them, `sweep.replay.landscape_rows` names their columns, and `sweep.replay.statistics`
describes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sweep.core.errors import DataError
from sweep.core.records import Measure, Observation, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """One candidate.

    Args:
        trial_id: of the candidate.
        point: the varied fields whose values are numbers.
        names: the varied fields whose values are texts or truth values.
        seen: every observation that the candidate would report, in order, with its costs.
    """

    trial_id: str
    point: Mapping[str, float]
    names: Mapping[str, str | bool] = field(default_factory=dict)
    seen: tuple[Observation, ...]

    @property
    def accuracy(self) -> float | None:
        """On the validation split at the end of training; None where it was never probed."""
        measure = self.at_end("accuracy", "probed")
        return measure.value if measure else None

    @property
    def accuracy_se(self) -> float | None:
        """Standard error of the accuracy; None where the number of images is not known."""
        measure = self.at_end("accuracy", "probed")
        images = measure.detail.get("images") if measure else None
        if measure is None or measure.value is None or not images:
            return None
        return math.sqrt(max(0.0, measure.value * (1 - measure.value)) / images)

    @property
    def test_accuracy(self) -> float | None:
        """On the test split at the end of training; None where it was not measured."""
        measure = self.at_end("test_accuracy", "probed")
        return measure.value if measure else None

    @property
    def broken(self) -> bool:
        """True if the model collapsed or diverged, so that no study would probe it."""
        return any(seen.broken for seen in self.seen)

    @property
    def pretrain_seconds(self) -> float:
        """Device-seconds of its whole training."""
        stages = ("pretrain", "trained")
        return sum(s.cost.device_seconds for s in self.seen if s.stage in stages)

    @property
    def probe_seconds(self) -> float:
        """Device-seconds of the probe at its end."""
        return sum(s.cost.device_seconds for s in self.seen if s.stage == "probed" and s.final)

    def at_end(self, name: str, stage: Stage | None = None) -> Measure | None:
        """Return the last measure of a name at the end of training, in one stage or in any."""
        for seen in reversed(self.seen):
            measure = seen.measure(name) if seen.final and stage in (None, seen.stage) else None
            if measure is not None:
                return measure
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Landscape:
    """A table of candidates.

    Args:
        name: for reports.
        candidates: in the table's order.
        method: by which the models were trained; "" if it is not known, or varies.
    """

    name: str
    candidates: tuple[Recorded, ...]
    method: str = ""

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def accuracies(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Validation accuracy of each, NaN for the broken ones."""
        return np.array([c.accuracy for c in self.candidates], dtype=np.float64)

    @property
    def pretrain_seconds(self) -> float:
        """Device-seconds of training everything to its end."""
        return sum(candidate.pretrain_seconds for candidate in self.candidates)

    @property
    def fractions(self) -> tuple[float, ...]:
        """Fractions below 1 at which any candidate was looked at, ascending."""
        return tuple(sorted({s.fraction for c in self.candidates for s in c.seen if not s.final}))

    @property
    def within(self) -> float:
        """The regret that counts as "within a point": 0.01, or two standard errors if more."""
        best = max((c for c in self.candidates if c.accuracy is not None), key=_accuracy)
        return max(0.01, 2 * (best.accuracy_se or 0.0))

    def complete(self) -> Landscape:
        """Return self; raise `DataError` where an accuracy is missing that a replay needs."""
        missing = [c.trial_id for c in self.candidates if c.accuracy is None and not c.broken]
        if missing:
            raise DataError(
                f"{self.name} is not complete: {len(missing)} of {len(self)} candidates have no "
                f"accuracy, {missing[0]} for one. A replay cannot know what a rule would have "
                'seen; run the study with rule.name="all", or leave those candidates out.'
            )
        if not any(c.accuracy is not None for c in self.candidates):
            raise DataError(f"{self.name} holds no candidate that was probed.")
        return self

    def part(self, rows: Sequence[int]) -> Landscape:
        """Return some of the candidates, in the order of `rows`."""
        return replace(self, candidates=tuple(self.candidates[row] for row in rows))

    def points(self) -> list[list[int]]:
        """Return the candidates' numbers, the seeds of one point together.

        A field that names each candidate differently, such as a path, does not part seeds.
        """
        shared = self._shared_names()
        groups: dict[tuple[Any, ...], list[int]] = {}
        for number, candidate in enumerate(self.candidates):
            point = {name: value for name, value in candidate.point.items() if name != "seed"}
            names = {name: candidate.names[name] for name in shared & candidate.names.keys()}
            key = (*sorted(point.items()), *sorted(names.items())) or (candidate.trial_id,)
            groups.setdefault(key, []).append(number)
        return list(groups.values())

    def _shared_names(self) -> set[str]:
        """Return the fields whose values are names, of which some candidates share one."""
        values: dict[str, list[str | bool]] = {}
        for candidate in self.candidates:
            for name, value in candidate.names.items():
                values.setdefault(name, []).append(value)
        return {name for name, several in values.items() if len(set(several)) < len(several)}


def _accuracy(candidate: Recorded) -> float:
    return candidate.accuracy or 0.0
