"""Whole studies with the rule race over made-up tables: they end, whatever the trials report."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.config.models import BudgetConfig
from sweep.config.study import StudyConfig
from sweep.core.events import (
    BudgetChanged,
    Decided,
    Event,
    Observed,
    SessionBegan,
    Suggested,
    TrialStarted,
)
from sweep.core.failures import Failure
from sweep.core.history import State
from sweep.core.outcome import outcome
from sweep.core.records import Cost, Measure, Observation
from sweep.log.log import MemoryLog
from sweep.replay.verify import verify
from sweep.rules.race import Race
from sweep.study import Study

LOOKS = (0.25, 0.5, 1.0)


@dataclass
class Table:
    """What each trial reports: an accuracy at each look, None where there is no number.

    Args:
        accuracies: of each trial, at `LOOKS`.
        collapsed: trials whose model is given up at the end of training.
        failures: trial -> how many of its attempts fail, each after one more look.
        seconds: device-seconds of each trial's training.
    """

    accuracies: list[list[float | None]]
    collapsed: set[int] = field(default_factory=set)
    failures: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def observations(self, number: int) -> list[Observation]:
        """Return what a trial reports, in order."""
        seen = []
        seconds = self.seconds[number] if self.seconds else 10.0
        before = 0.0
        for fraction, accuracy in zip(LOOKS, self.accuracies[number], strict=True):
            where: dict[str, Any] = {"step": round(100 * fraction), "fraction": fraction}
            took = Cost(
                wall_seconds=seconds * (fraction - before),
                device_seconds=seconds * (fraction - before),
            )
            before = fraction
            if fraction == 1.0:
                ok = number not in self.collapsed
                loss = Measure(
                    name="loss",
                    value=1.0 if ok else None,
                    status="ok" if ok else "nonfinite",
                    fatal=True,
                )
                seen.append(Observation(stage="trained", measures=(loss,), cost=took, **where))
                took = Cost()
                alpha = Measure(name="alpha", value=1.0)
                seen.append(Observation(stage="measured", measures=(alpha,), **where))
            known = accuracy is not None
            measure = Measure(
                name="accuracy",
                value=accuracy,
                status="ok" if known else "nonfinite",
                detail={"images": 1000},
            )
            seen.append(Observation(stage="probed", measures=(measure,), cost=took, **where))
        return seen


@dataclass
class Driver:
    """Runs the trials of a table, in an order that a seed draws; may be cut off and go on."""

    table: Table
    workers: int
    seed: int = 0
    rule: Race = field(default_factory=Race)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    retries: int = 1
    log: MemoryLog = field(default_factory=MemoryLog)
    clock: float = 0.0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.reached: dict[str, int] = {}
        self.failed: dict[str, int] = {}

    def session(self, workers: int | None = None, **budget: Any) -> Study:
        """Begin a session, with another budget if one is given; add the candidates."""
        self.workers = workers or self.workers
        study = Study(
            rule=self.rule,
            log=self.log,
            budget=self.budget,
            workers=self.workers,
            retries=self.retries,
            clock=lambda: self.clock,
        )
        study.record(SessionBegan(workers=self.workers))
        if budget:
            study.record(BudgetChanged(config={"budget": budget}))
        for number in range(len(self.table.accuracies)):
            study.add(f"t{number}", {"d": 2.0 ** (number % 7), "lambd": 0.1 * (1 + number)}, {})
        return study

    def run(self, study: Study, *, events: int = 10**6) -> bool:
        """Run the study; return whether it ended before so many steps."""
        for _ in range(events):
            while len(study.working) < self.workers and (trial_id := study.next()) is not None:
                study.start(trial_id)
            if not study.working:
                return True
            self._step(study, self.rng.choice(sorted(study.working)))
        return False

    def _step(self, study: Study, trial_id: str) -> None:
        number, reached = int(trial_id[1:]), self.reached.get(trial_id, 0)
        observation = self.table.observations(number)[reached]
        self.clock += observation.cost.wall_seconds
        if self.failed.get(trial_id, 0) < self.table.failures.get(number, 0) and (
            self.rng.random() < 0.5
        ):
            self.failed[trial_id] = self.failed.get(trial_id, 0) + 1
            study.fail(trial_id, Failure(error="boom", cause="exception"))
            return
        self.reached[trial_id] = reached + 1
        study.observe(trial_id, observation)
        if study.history.state_of(trial_id) == State.PROBED:
            study.working.discard(trial_id)

    def check_log(self) -> None:
        """Check that the rule answers again what the log holds."""
        config = StudyConfig.parse(
            {
                "budget": self.budget.model_dump(exclude_none=True),
                "resources": {"retries": self.retries},
            }
        )
        said = verify(list(self.log.read()), self.rule, config)
        assert said.difference is None


def smooth(count: int) -> Table:
    """A table with one best trial in the middle, which early looks show."""
    best = count // 2
    return Table(
        accuracies=[
            [0.6 + 0.1 * look - 0.01 * abs(number - best) for look in LOOKS]
            for number in range(count)
        ]
    )


ACCURACY = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.1, 0.5, 0.5, 0.9]))


@st.composite
def drivers(draw: st.DrawFn) -> Driver:
    """Return any table with any number of workers and any budget."""
    count = draw(st.integers(1, 12))
    numbers = st.sets(st.integers(0, count - 1), max_size=3)
    trio = st.lists(ACCURACY, min_size=3, max_size=3)
    table = Table(
        accuracies=draw(st.lists(trio, min_size=count, max_size=count)),
        collapsed=draw(numbers),
        failures=dict.fromkeys(draw(numbers), draw(st.integers(1, 3))),
        seconds=draw(
            st.lists(st.just(0.0) | st.floats(0.001, 100), min_size=count, max_size=count)
        ),
    )
    budget = BudgetConfig(
        trials=draw(st.none() | st.integers(1, 12)),
        device_seconds=draw(st.none() | st.floats(1, 500)),
        wall_seconds=draw(st.none() | st.floats(1, 500)),
        probes=draw(st.none() | st.integers(0, 5)),
    )
    save: Literal["device", "time"] = draw(st.sampled_from(["device", "time"]))
    return Driver(
        table=table,
        workers=draw(st.integers(1, 5)),
        seed=draw(st.integers(0, 100)),
        rule=Race(save=save),
        budget=budget,
        retries=draw(st.integers(0, 2)),
    )


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(
    driver=drivers(),
    cuts=st.lists(st.tuples(st.integers(0, 15), st.integers(1, 5)), max_size=3),
)
def test_any_study_ends_and_its_log_is_reproduced(
    driver: Driver, cuts: list[tuple[int, int]]
) -> None:
    study = driver.session()
    for events, workers in cuts:
        if driver.run(study, events=events):
            break
        study = driver.session(workers)
    assert driver.run(study)
    spent = study.exhausted() or study.history.probes_left == 0
    states = {State(int(state)) for state in study.history.state}
    waiting = {State.PENDING, State.PAUSED, State.HELD} if spent else set()
    assert all(state.final or state in waiting for state in states)
    assert (
        not spent
        or not {State.PENDING, State.PAUSED} & states
        or "is spent" in (study.why_it_ends())
    )
    driver.check_log()
    if driver.budget != BudgetConfig():
        study = driver.session(probes=None)
        assert driver.run(study)
        assert all(State(int(state)).final for state in study.history.state)
        driver.check_log()


def started(study: Study) -> list[str]:
    return [event.trial_id for event in study.events() if isinstance(event, TrialStarted)]


def suggestions(events: list[Event]) -> list[str | None]:
    return [event.begin for event in events if isinstance(event, Suggested)]


def test_a_model_within_a_point_of_the_best_is_found_without_training_all() -> None:
    driver = Driver(table=smooth(30), workers=2)
    study = driver.session()
    assert driver.run(study)
    assert outcome(study.history, "").winner in {"t14", "t15", "t16"}
    finished = study.history.count(State.PROBED)
    assert finished < 15
    driver.check_log()


@pytest.mark.parametrize(
    "budget", [{"trials": 5}, {"device_seconds": 40.0}, {"wall_seconds": 40.0}, {"probes": 1}]
)
@pytest.mark.parametrize("workers", [1, 4])
def test_a_spent_budget_lets_one_model_be_finished_and_a_larger_one_goes_on(
    budget: dict[str, Any], workers: int
) -> None:
    driver = Driver(table=smooth(20), workers=workers, budget=BudgetConfig(**budget))
    study = driver.session()
    assert driver.run(study)
    first = outcome(study.history, "")
    assert first.winner is not None
    assert "is spent" in study.why_it_ends()
    begun = set(started(study))
    assert len(begun) < 20
    study = driver.session(probes=None)
    assert driver.run(study)
    assert set(started(study)) > begun or "probes" in budget
    assert outcome(study.history, "").winner == "t10"
    assert study.why_it_ends() == "every candidate is decided"
    driver.check_log()


def test_fewer_workers_after_a_resume_hold_what_they_cannot_take() -> None:
    driver = Driver(table=smooth(20), workers=6)
    assert not driver.run(driver.session(), events=8)
    study = driver.session(1)
    assert driver.run(study)
    assert outcome(study.history, "").winner == "t10"
    driver.check_log()


def test_a_trial_that_fails_for_good_is_left_out_and_the_others_go_on() -> None:
    table = smooth(20)
    table.failures = {10: 9, 3: 1}
    driver = Driver(table=table, workers=3)
    study = driver.session()
    assert driver.run(study)
    assert outcome(study.history, "").winner in ("t9", "t11")
    assert study.history.state_of("t10") == State.FAILED
    driver.check_log()


def test_a_trial_that_falls_to_chance_is_not_finished() -> None:
    table = smooth(20)
    table.accuracies[10] = [0.95, 0.1, 0.1]
    driver = Driver(table=table, workers=2)
    study = driver.session()
    assert driver.run(study)
    assert study.history.state_of("t10") == State.STOPPED
    assert outcome(study.history, "").winner in ("t9", "t11")


def test_a_look_without_a_number_changes_nothing() -> None:
    table = smooth(12)
    table.accuracies[6][0] = None
    driver = Driver(table=table, workers=2)
    study = driver.session()
    assert driver.run(study)
    assert outcome(study.history, "").winner == "t6"


def test_no_number_at_all_ends_with_no_winner() -> None:
    driver = Driver(table=Table(accuracies=[[None, None, None]] * 5), workers=2)
    study = driver.session()
    assert driver.run(study)
    assert outcome(study.history, "").winner is None
    driver.check_log()


def test_an_accuracy_above_one_stops_its_trial_with_a_sentence() -> None:
    table = smooth(12)
    table.accuracies[3] = [61.0, 71.0, 72.0]
    driver = Driver(table=table, workers=2)
    study = driver.session()
    assert driver.run(study)
    assert outcome(study.history, "").winner == "t6"
    reasons = [
        getattr(e, "reason", "") for e in study.events() if getattr(e, "trial_id", "") == "t3"
    ]
    assert "its accuracy is 61, and must lie between 0 and 1" in reasons or "t3" not in started(
        study
    )


def test_a_suggestion_that_a_crash_cut_off_is_not_made_twice() -> None:
    driver = Driver(table=smooth(12), workers=1)
    study = driver.session()
    assert study.next() is not None  # the log holds Suggested, and no runner started the trial
    again = driver.session()
    assert driver.run(again)
    begun = [begin for begin in suggestions(list(again.events())) if begin]
    assert len(begun) == len(set(begun))
    driver.check_log()


def decisions(events: Iterable[Event]) -> list[tuple[str | None, str]]:
    """Return the verdicts and the beginnings of a log, in order."""
    said: list[tuple[str | None, str]] = []
    for event in events:
        match event:
            case Decided():
                said.append((event.trial_id, event.action))
            case Suggested() if event.begin:
                said.append((event.begin, "begin"))
    return said


def test_a_study_that_is_cut_off_after_any_event_decides_as_one_that_was_not() -> None:
    whole = Driver(table=smooth(9), workers=1)
    assert whole.run(whole.session())
    events = list(whole.log.read())
    kinds = {event.kind for event in events}
    assert {"suggestion", "verdict", "start", "observation"} <= kinds
    for count in range(1, len(events)):
        log = MemoryLog()
        for event in events[:count]:
            log.append(event)
        cut = Driver(table=smooth(9), workers=1, log=log, clock=events[count - 1].time)
        for trial_id in {e.trial_id for e in events[:count] if isinstance(e, Observed)}:
            seen = [e for e in events[:count] if isinstance(e, Observed) and e.trial_id == trial_id]
            cut.reached[trial_id] = len(seen)  # a trial goes on after its last look
        assert cut.run(cut.session())
        assert decisions(log.read()) == decisions(events), f"cut off after event {count - 1}"
        cut.check_log()
