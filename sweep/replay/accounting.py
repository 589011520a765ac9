"""What one order of a table costs, and how its regret falls: charged while trials run.

A segment is the work of one trial up to its next observation. At any moment of the virtual clock
the seconds of a segment under way count as far as it has run. A segment of pretraining that the
rule ends early is charged only as far as it ran.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sweep.core.errors import DataError
from sweep.core.records import Cost, Observation, Stage
from sweep.replay.landscape import Landscape, Recorded

Kind = Literal["pretrain", "measure", "probe"]

KINDS: Mapping[Stage, Kind] = {
    "pretrain": "pretrain",
    "trained": "pretrain",
    "measured": "measure",
    "probed": "probe",
}
"""Stage of an observation -> what its seconds are spent on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """What an order had spent when a model better than all before was known.

    Args:
        regret: from that moment on, as a part of 1.
        pretrain_seconds, device_seconds: so far, segments under way pro rata; `device_seconds`
            are those of pretraining, measures and probes.
        wall_seconds: on the virtual clock.
        probes: begun so far, of trained models and during training.
    """

    regret: float
    pretrain_seconds: float
    device_seconds: float
    wall_seconds: float
    probes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """What it costs to train every candidate of an order to its end, measure it and probe it.

    Args:
        pretrain_seconds: device-seconds of pretraining alone.
        device_seconds: with the measures and the probe at the end of each training.
        wall_seconds: the same on M workers, each of which takes the next candidate when free.
        reserved_per_second: device-seconds per wall second of M workers, whether they idle or not.
    """

    pretrain_seconds: float
    device_seconds: float
    wall_seconds: float
    reserved_per_second: float

    @classmethod
    def of(cls, candidates: Sequence[Recorded], parallel: int) -> Grid:
        """Return the cost of all candidates, in this order, on `parallel` workers."""
        whole = [
            sum((s.cost for s in c.seen if s.final or KINDS.get(s.stage) == "pretrain"), Cost())
            for c in candidates
        ]
        device = sum(cost.device_seconds for cost in whole)
        wall = sum(cost.wall_seconds for cost in whole)
        return cls(
            pretrain_seconds=_above_zero(sum(c.pretrain_seconds for c in candidates)),
            device_seconds=_above_zero(device),
            wall_seconds=_above_zero(_makespan([cost.wall_seconds for cost in whole], parallel)),
            reserved_per_second=parallel * device / wall if wall else 0.0,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """The result of one order of one table; accuracies and regrets are between 0 and 1.

    Args:
        regret: the best validation accuracy of all candidates minus that of the chosen one.
        test_regret: test accuracy of the candidate that probing all would choose minus that of
            the chosen one; NaN if the table has no test accuracies.
        probes: how many probes, of trained models and during training.
        probe_seconds, measure_seconds, pretrain_seconds: device-seconds.
        wall_seconds: on the virtual clock.
        grid: what the whole order costs.
        within: the regret that counts as "within a point"; see `Landscape.within`.
        worst: the regret of the worst model, which counts until a model is trained and probed.
        curve: one moment for each probe that found a better model, in order.
        prior: names of the earlier studies that the rule used.
    """

    regret: float
    test_regret: float
    probes: int
    probe_seconds: float
    measure_seconds: float
    pretrain_seconds: float
    wall_seconds: float
    grid: Grid
    within: float
    worst: float
    curve: tuple[Moment, ...]
    prior: tuple[str, ...] = ()

    @property
    def device_seconds(self) -> float:
        """Device-seconds of pretraining, measures and probes."""
        return self.pretrain_seconds + self.measure_seconds + self.probe_seconds

    @property
    def end(self) -> Moment:
        """What was spent when the study ended."""
        return Moment(
            regret=self.regret,
            pretrain_seconds=self.pretrain_seconds,
            device_seconds=self.device_seconds,
            wall_seconds=self.wall_seconds,
            probes=self.probes,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """The work of one trial up to its next observation.

    Args:
        observation: that ends it.
        began, ends: seconds on the virtual clock.
        number: counts segments; of two that end together, the one that began first ends first.
    """

    observation: Observation
    began: float
    ends: float
    number: int

    def share(self, now: float) -> float:
        """Return which part of the segment has run, 0 to 1."""
        length = self.ends - self.began
        return min(1.0, max(0.0, (now - self.began) / length)) if length > 0 else 0.0

    def parts(self, now: float, before: Observation | None) -> tuple[Observation, Observation]:
        """Return a report of progress for what has run, and the observation with the rest's cost.

        Args:
            now: seconds on the virtual clock.
            before: the trial's observation before this one; None if there is none.
        """
        share, end = self.share(now), self.observation
        step, fraction = (before.step, before.fraction) if before else (0, 0.0)
        progress = Observation(
            stage="pretrain",
            step=min(step + int(share * (end.step - step)), max(0, end.step - 1)),
            fraction=fraction + share * (end.fraction - fraction),
            cost=_times(end.cost, share),
        )
        return progress, replace(end, cost=_times(end.cost, 1 - share))


class Ledger:
    """The segments under way in an order, what was spent so far, and the best accuracy so far.

    Args:
        landscape: the candidates of the order, in this order.
        parallel: M, how many workers.
    """

    def __init__(self, landscape: Landscape, *, parallel: int) -> None:
        self._landscape = landscape
        self._grid = Grid.of(landscape.candidates, parallel)
        probed = [c for c in landscape.candidates if c.accuracy is not None]
        if not probed:
            raise DataError(f"{landscape.name}: no candidate of this order was probed.")
        self._top = max(probed, key=lambda c: c.accuracy or 0.0)
        self._worst = (self._top.accuracy or 0.0) - min(c.accuracy or 0.0 for c in probed)
        self._spent: dict[Kind, float] = {"pretrain": 0.0, "measure": 0.0, "probe": 0.0}
        self._best: float | None = None
        self._curve: list[Moment] = []
        self._probes = self._begun = 0
        self.running: dict[str, Segment] = {}

    def begin(self, trial_id: str, observation: Observation, now: float) -> None:
        """Note that a trial works towards its next observation from now on."""
        self.running[trial_id] = Segment(
            observation=observation,
            began=now,
            ends=now + observation.cost.wall_seconds,
            number=self._begun,
        )
        self._begun += 1
        self._probes += observation.stage == "probed"

    def next(self) -> str:
        """Return the trial whose segment ends first."""
        return min(self.running, key=lambda i: (self.running[i].ends, self.running[i].number))

    def end(self, trial_id: str) -> Observation:
        """Charge the whole segment of a trial; return the observation that ends it."""
        segment = self.running.pop(trial_id)
        observation, now = segment.observation, segment.ends
        self._charge(observation)
        accuracy = observation.measure("accuracy")
        if observation.stage == "probed" and observation.final and accuracy is not None:
            self._found(accuracy.value, now)
        return observation

    def cut(
        self, trial_id: str, now: float, before: Observation | None
    ) -> tuple[Observation, Observation]:
        """End a segment early, and charge what has run; see `Segment.parts`."""
        progress, rest = self.running.pop(trial_id).parts(now, before)
        self._charge(progress)
        return progress, rest

    def played(self, winner: str | None, now: float) -> Played:
        """Return the result once nothing runs.

        Args:
            winner: the trial that was chosen; None, where nothing was probed, counts like the
                worst choice.
            now: seconds on the virtual clock.
        """
        regret, test_regret = self._worst, float("nan")
        for choice in self._landscape.candidates:
            if choice.trial_id == winner:
                top, chosen = self._top.test_accuracy, choice.test_accuracy
                regret = (self._top.accuracy or 0.0) - (choice.accuracy or 0.0)
                test_regret = (
                    top - chosen if top is not None and chosen is not None else test_regret
                )
        return Played(
            regret=regret,
            test_regret=test_regret,
            probes=self._probes,
            probe_seconds=self._spent["probe"],
            measure_seconds=self._spent["measure"],
            pretrain_seconds=self._spent["pretrain"],
            wall_seconds=now,
            grid=self._grid,
            within=self._landscape.within,
            worst=self._worst,
            curve=tuple(self._curve),
        )

    def _charge(self, observation: Observation) -> None:
        if (kind := KINDS.get(observation.stage)) is not None:
            self._spent[kind] += observation.cost.device_seconds

    def _found(self, accuracy: float | None, now: float) -> None:
        """Note the moment, if the accuracy is the best so far."""
        if accuracy is None or (self._best is not None and accuracy <= self._best):
            return
        self._best = accuracy
        pretrain, device = self._spent["pretrain"], sum(self._spent.values())
        for segment in self.running.values():
            so_far = segment.share(now) * segment.observation.cost.device_seconds
            device += so_far
            pretrain += so_far if KINDS.get(segment.observation.stage) == "pretrain" else 0.0
        self._curve.append(
            Moment(
                regret=(self._top.accuracy or 0.0) - accuracy,
                pretrain_seconds=pretrain,
                device_seconds=device,
                wall_seconds=now,
                probes=self._probes,
            )
        )


def _makespan(seconds: Sequence[float], parallel: int) -> float:
    """Return how long `parallel` workers take; each takes the next item of the list when free."""
    free_at = [0.0] * parallel
    for length in seconds:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)


def _times(cost: Cost, share: float) -> Cost:
    return Cost(wall_seconds=share * cost.wall_seconds, device_seconds=share * cost.device_seconds)


def _above_zero(seconds: float) -> float:
    """Return the seconds, or a tiny number that can be divided by, for a table without costs."""
    return max(seconds, 1e-12)
