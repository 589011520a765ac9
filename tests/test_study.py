"""The step: record, charge, ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.config.models import BudgetConfig
from sweep.core.events import BudgetChanged, Decided, SessionBegan
from sweep.core.failures import Failure
from sweep.core.history import History, State
from sweep.core.records import Cost, Decision, Measure, Observation, Verdict
from sweep.log.log import MemoryLog
from sweep.rules.baselines import ProbeAll
from sweep.rules.paper import Paper
from sweep.study import LOST_NODES, RuleError, Study
from tests.histories import measured, play, probed, study_of


def test_an_observation_that_comes_twice_is_recorded_once() -> None:
    study = study_of(ProbeAll(), 1)
    study.start("t0")
    study.observe("t0", measured(1.0))
    seq = study.history.seq
    assert study.observe("t0", measured(1.0)) == "continue"
    assert study.history.seq == seq


def test_probes_beyond_the_budget_are_held_and_released_by_a_larger_one() -> None:
    study = study_of(ProbeAll(), 4, budget=BudgetConfig(probes=2))
    assert play(study, [1.0, 2.0, 3.0, 4.0], [0.5] * 4) == ["t0", "t1"]
    assert study.next() is None
    assert study.history.state_of("t2") == State.HELD
    config = {"budget": {"probes": 3}}
    study.record(BudgetChanged(config=config))
    assert study.next() == "t2"
    assert study.history.state_of("t3") == State.HELD


def test_lost_nodes_do_not_use_up_retries_and_end_all_the_same() -> None:
    log = MemoryLog()
    study = Study(rule=ProbeAll(), log=log, retries=1)
    study.add("t0", {}, {})
    for _ in range(LOST_NODES):
        study.start("t0")
        study.fail("t0", Failure(error="gone", cause="node lost"))
        assert not study.history.state_of("t0").final
    study.start("t0")
    study.fail("t0", Failure(error="boom", cause="exception"))
    assert study.next() == "t0"
    again = Study(rule=ProbeAll(), log=MemoryLog(log.read()), retries=1)
    again.fail("t0", Failure(error="boom", cause="worker died"))
    assert again.history.state_of("t0") == State.FAILED
    study.fail("t0", Failure(error="gone", cause="node lost"))
    assert study.history.state_of("t0") == State.FAILED


def test_a_failed_probe_gives_its_place_in_the_budget_back() -> None:
    study = study_of(ProbeAll(), 2, budget=BudgetConfig(probes=1))
    study.start("t0")
    study.observe("t0", measured(1.0))
    study.start("t1")
    assert study.observe("t1", measured(2.0)) == "hold"
    study.fail("t0", Failure(error="killed", cause="exception"))
    assert study.action("t1") == "continue"


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (BudgetConfig(trials=2), r"budget.trials is spent \(2 of 2\)"),
        (BudgetConfig(device_seconds=20), r"budget.device_seconds is spent \(20 of 20\)"),
        (BudgetConfig(money=0.5), r"budget.money is spent"),
    ],
)
def test_a_spent_budget_starts_no_candidate_and_says_which(budget: BudgetConfig, says: str) -> None:
    study = study_of(ProbeAll(), 4, budget=budget, price_per_device_hour=90.0)
    for _ in range(2):
        trial_id = study.next()
        assert trial_id is not None
        study.start(trial_id)
        cost = Cost(wall_seconds=5.0, device_seconds=10.0)
        study.observe(trial_id, replace(measured(1.0), cost=cost))
        study.observe(trial_id, probed(0.5))
    assert study.next() is None
    exhausted = study.exhausted()
    assert exhausted is not None
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(exhausted)
    assert study.history.spent == Cost(wall_seconds=10.0, device_seconds=20.0)


def test_wall_seconds_count_sessions_and_not_what_lies_between() -> None:
    now = [0.0]
    budget = BudgetConfig(wall_seconds=25)
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: now[0], budget=budget)
    study.record(SessionBegan())
    now[0] = 10.0
    study.add("t0", {}, {})
    now[0] = 1000.0
    study.record(SessionBegan())
    now[0] = 1010.0
    study.add("t1", {}, {})
    assert study.exhausted() is None
    now[0] = 1016.0
    study.add("t2", {}, {})
    assert study.exhausted() == "budget.wall_seconds is spent (26 of 25)"


def test_a_failure_is_retried_while_attempts_last_and_then_final() -> None:
    study = study_of(ProbeAll(), 1, retries=1)
    assert study.start("t0") == 1
    study.fail("t0", Failure(error="boom", cause="exception"))
    assert study.next() == "t0"
    assert study.start("t0") == 2
    study.fail("t0", Failure(error="boom", cause="exception"))
    assert study.history.state_of("t0") == State.FAILED
    assert study.next() is None


def test_a_driver_that_died_uses_up_no_retry() -> None:
    log = MemoryLog()
    study = Study(rule=ProbeAll(), log=log, retries=0)
    study.add("t0", {}, {})
    study.start("t0")
    again = Study(rule=ProbeAll(), log=log, retries=0)
    assert again.next() == "t0"
    assert again.start("t0") == 2


def test_a_study_rebuilt_at_any_event_stands_where_it_stood() -> None:
    log = MemoryLog()
    study = Study(rule=Paper(round=4, sync=True), log=log, clock=lambda: 0.0)
    for number in range(8):
        study.add(f"t{number}", {}, {})
    play(study, [1.0, 2, 3, 4, 2.5, 1.5, 2.2, 3.5], [0.1, 0.8, 0.9, 0.2, 0.95, 0.5, 0.6, 0.5])
    events = log.read()
    for cut in range(len(events)):
        part = Study(rule=Paper(round=4, sync=True), log=MemoryLog(events[:cut]))
        whole = [e for e in events[:cut] if isinstance(e, Decided)]
        for event in whole:
            expected = part.history.state_of(event.trial_id)
            assert expected != State.PENDING
        assert part.history.seq == cut - 1


def test_a_model_that_collapsed_is_stopped_whatever_the_rule_says() -> None:
    study = study_of(ProbeAll(), 1)
    study.start("t0")
    assert study.observe("t0", measured(None)) == "stop"
    assert study.history.state_of("t0") == State.STOPPED


def test_a_model_that_collapsed_just_before_a_crash_is_not_probed_after_it() -> None:
    log = MemoryLog()
    study = Study(rule=ProbeAll(), log=log)
    study.add("t0", {}, {})
    study.start("t0")
    study.observe("t0", measured(None))
    events = log.read()
    cut = next(e.seq for e in events if isinstance(e, Decided))
    again = Study(rule=ProbeAll(), log=MemoryLog(events[:cut]))
    again.record(SessionBegan())
    assert again.history.state_of("t0") == State.STOPPED


def test_a_rule_that_holds_for_ever_is_overruled_when_nothing_runs() -> None:
    def stubborn(history: object) -> Decision:
        rows = study.history.waiting
        return Decision(
            zone=study.history.zone,
            verdicts=tuple(
                Verdict(trial_id=study.history.trial_ids[row], action="hold", reason="never")
                for row in rows
            ),
        )

    study = study_of(stubborn, 2)
    assert play(study, [1.0, 2.0], [0.5, 0.6]) == ["t0", "t1"]


def test_a_rule_that_speaks_of_a_trial_that_does_not_wait_is_an_error() -> None:
    def confused(history: object) -> Decision:
        verdict = Verdict(trial_id="t1", action="continue", reason="why not")
        return Decision(zone=study.history.zone, verdicts=(verdict,))

    study = study_of(confused, 2)
    study.start("t0")
    with pytest.raises(RuleError, match="says continue of trial t1, which is PENDING"):
        study.observe("t0", measured(1.0))


def test_rules_cannot_see_test_accuracy() -> None:
    study = study_of(ProbeAll(), 1)
    play(study, [1.0], [0.5])
    tested = Measure(name="test_accuracy", value=0.4)
    study.observe("t0", Observation(stage="tested", step=10, measures=(tested,)))
    assert "test_accuracy" not in study.history.columns
    assert study.history.column("accuracy")[0] == 0.5


def look(fraction: float, alpha: float = 1.0) -> Observation:
    measure = Measure(name="alpha", value=alpha)
    return Observation(
        stage="measured", step=int(10 * fraction), fraction=fraction, measures=(measure,)
    )


def test_a_trial_can_be_paused_at_a_mark_and_go_on() -> None:
    said: list[Verdict] = [Verdict(trial_id="t0", action="hold", reason="wait")]

    def rule(history: History) -> Decision:
        return Decision(zone=history.zone, verdicts=(said.pop(),) if said else ())

    study = study_of(rule, 1)
    study.start("t0")
    assert study.observe("t0", look(0.5)) == "hold"
    assert study.history.state_of("t0") == State.PAUSED
    assert "t0" not in study.working
    said.append(Verdict(trial_id="t0", action="continue", reason="go on"))
    study.record(SessionBegan())
    assert study.next() == "t0"
    study.start("t0")
    assert study.observe("t0", look(0.5)) == "continue"  # its journal, again
    assert study.history.state_of("t0") == State.TRAINING
    assert study.history.column("alpha@0.5")[0] == 1.0
    assert study.history.fractions == (0.5,)


def test_whoever_is_paused_when_nothing_runs_goes_on() -> None:
    pause = Verdict(trial_id="t0", action="hold", reason="wait")

    def rule(history: History) -> Decision:
        training = history.state_of("t0") == State.TRAINING and history.latest == 0
        again = history.seq > 4
        return Decision(zone=history.zone, verdicts=(pause,) if training and not again else ())

    study = study_of(rule, 1)
    study.start("t0")
    assert study.observe("t0", look(0.5)) == "hold"
    assert study.next() == "t0"


def test_test_accuracy_is_no_column_of_the_history() -> None:
    study = study_of(ProbeAll(), 1)
    study.start("t0")
    study.observe("t0", measured(1.0))
    both = (Measure(name="accuracy", value=0.5), Measure(name="test_accuracy", value=0.9))
    study.observe("t0", Observation(stage="probed", step=10, measures=both))
    assert "accuracy" in study.history.columns
    assert not any("test" in name for name in study.history.columns)


def test_interrupted_trials_come_before_new_ones() -> None:
    study = study_of(ProbeAll(), 3)
    study.start("t2")
    study.fail("t2", Failure(error="killed", cause="exception"))
    again = study_of(ProbeAll(), 3, retries=1)
    again.start("t2")
    again.fail("t2", Failure(error="killed", cause="exception"))
    assert study.next() == "t0"
    assert again.next() == "t2"
