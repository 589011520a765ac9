"""The runner over recorded tables: the same rule, step and budget, on a virtual clock.

`simulate` plays one order of a landscape with M workers. `sweep.replay.accounting` says what the
order costs, and `sweep.replay.compare` plays many orders for several rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweep.config.models import BudgetConfig
from sweep.core.events import SessionBegan
from sweep.core.outcome import outcome
from sweep.core.records import Observation, Stage
from sweep.log.log import MemoryLog
from sweep.proposers import Proposer
from sweep.replay.accounting import KINDS, Ledger, Played
from sweep.replay.landscape import Landscape, Recorded
from sweep.rules import Rule
from sweep.study import Study


@dataclass(slots=True)
class Clock:
    """A clock that shows the time that it was set to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(
    landscape: Landscape,
    rule: Rule,
    order: Sequence[int],
    *,
    parallel: int,
    budget: BudgetConfig | None = None,
    online: bool = False,
    early: bool = False,
    proposer: Proposer | None = None,
) -> tuple[Study, Played]:
    """Play one order of a table.

    Args:
        landscape: complete.
        rule: decides which models are probed. With an attribute `looks`, it is shown only the
            looks at the fractions of the table that are nearest to these.
        order: a permutation of the candidates' numbers, in which they wait.
        parallel: M, how many workers.
        budget: as in a live study.
        online: run (and pay for) the probes during training.
        early: measure (and pay for) the criteria during training.
        proposer: chooses the candidate that is pretrained next; by default the first in order.
    """
    part = landscape.part(order)
    clock, ledger = Clock(), Ledger(part, parallel=parallel)
    study = Study(
        rule=rule, log=MemoryLog(), proposer=proposer, budget=budget, workers=parallel, clock=clock
    )
    study.record(SessionBegan(workers=parallel))
    on_the_way = _on_the_way(part, getattr(rule, "looks", None), online=online, early=early)
    scripts: dict[str, _Script] = {}
    for candidate in part.candidates:
        scripts[candidate.trial_id] = _Script(_shown(candidate, on_the_way))
        study.add(candidate.trial_id, {**candidate.names, **candidate.point}, {})

    def work(trial_id: str) -> None:
        ledger.begin(trial_id, scripts[trial_id].coming, clock.now)

    while True:
        _cut_what_was_told_to_end(study, ledger, scripts, clock.now)
        while len(study.working) < parallel and (trial_id := study.next()) is not None:
            study.start(trial_id)
            work(trial_id)
            _cut_what_was_told_to_end(study, ledger, scripts, clock.now)
        if not ledger.running:
            break
        trial_id = ledger.next()
        clock.now = ledger.running[trial_id].ends
        observation = ledger.end(trial_id)
        scripts[trial_id].reach()
        if study.observe(trial_id, observation) == "continue":
            work(trial_id)
    return study, ledger.played(outcome(study.history, "").winner, clock.now)


class _Script:
    """What a trial will report, and how far it is."""

    def __init__(self, observations: Iterator[Observation]) -> None:
        self._observations = list(observations)
        self._reached = 0

    @property
    def coming(self) -> Observation:
        return self._observations[self._reached]

    @property
    def before(self) -> Observation | None:
        return self._observations[self._reached - 1] if self._reached else None

    def reach(self) -> None:
        self._reached += 1

    def insert(self, progress: Observation, rest: Observation) -> None:
        """Replace the coming observation by a report of progress, which is past, and the rest."""
        self._observations[self._reached : self._reached + 1] = [progress, rest]
        self._reached += 1


def _cut_what_was_told_to_end(
    study: Study, ledger: Ledger, scripts: dict[str, _Script], now: float
) -> None:
    """End the pretraining of trials that the rule stopped or paused meanwhile.

    A live trial learns this from its next report of progress, of which a table has none. A probe
    that runs is finished.
    """
    for trial_id, segment in list(ledger.running.items()):
        told_to_end = study.action(trial_id) != "continue"
        if told_to_end and KINDS.get(segment.observation.stage) == "pretrain":
            script = scripts[trial_id]
            progress, rest = ledger.cut(trial_id, now, script.before)
            script.insert(progress, rest)
            study.observe(trial_id, progress)


def _on_the_way(
    landscape: Landscape, looks: Sequence[float] | None, *, online: bool, early: bool
) -> dict[Stage, set[float]]:
    """Return the fractions below 1 at which the rule is shown each stage."""
    shown: dict[Stage, bool] = {"measured": early, "probed": online}
    return {
        stage: _nearest(_fractions(landscape, stage), looks)
        for stage, is_on in shown.items()
        if is_on
    }


def _fractions(landscape: Landscape, stage: Stage) -> set[float]:
    """Return the fractions below 1 at which any candidate has an observation of a stage."""
    return {
        seen.fraction
        for candidate in landscape.candidates
        for seen in candidate.seen
        if seen.stage == stage and not seen.final
    }


def _nearest(fractions: set[float], looks: Sequence[float] | None) -> set[float]:
    """Return the fractions that are nearest to the looks, by their ratio; all where looks is None.

    A look between two fractions, equally near to both, is at the later one.
    """
    if looks is None or not fractions:
        return fractions
    later_first = sorted(fractions, reverse=True)
    return {min(later_first, key=lambda f: abs(math.log(f / look))) for look in looks}


def _shown(candidate: Recorded, on_the_way: dict[Stage, set[float]]) -> Iterator[Observation]:
    """Yield the observations of a candidate, without the looks that the rule is not shown."""
    for observation in candidate.seen:
        always = observation.stage not in ("measured", "probed")
        shown = observation.fraction in on_the_way.get(observation.stage, ())
        if always or observation.final or shown or observation.broken:
            yield observation
