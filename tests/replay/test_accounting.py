"""What an order costs: seconds count while a trial runs, and only as far as it ran."""

from __future__ import annotations

import pytest

from sweep.core.errors import DataError
from sweep.core.history import History, State
from sweep.core.records import Action, Decision, Measure, Observation, Stage, Verdict
from sweep.replay.accounting import Grid
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.simulate import simulate
from sweep.rules.baselines import ProbeAll, ProbeNone
from tests.landscapes import hump, seconds


def candidate(name: str, pretrain_seconds: float, accuracy: float) -> Recorded:
    """A candidate without looks, whose measure and probe take a second each."""

    def observed(stage: Stage, cost: float, measure: str, value: float) -> Observation:
        measures = (Measure(name=measure, value=value),)
        return Observation(stage=stage, step=1000, measures=measures, cost=seconds(cost))

    seen = (
        observed("trained", pretrain_seconds, "loss", 1.0),
        observed("measured", 1.0, "alpha", 1.0),
        observed("probed", 1.0, "accuracy", accuracy),
    )
    return Recorded(trial_id=name, point={}, seen=seen)


SHORT_AND_LONG = Landscape(
    name="two", candidates=(candidate("short", 10, 0.5), candidate("long", 40, 0.75))
)


def test_a_trial_under_way_is_charged_as_far_as_it_has_run() -> None:
    _, played = simulate(SHORT_AND_LONG, ProbeAll(), range(2), parallel=2)
    first, last = played.curve
    assert (first.wall_seconds, first.device_seconds) == (12, 24)
    assert first.pretrain_seconds == 22  # 10 s of the one, and 12 s of the other so far
    assert (first.probes, first.regret) == (1, 0.25)
    assert (last.wall_seconds, last.device_seconds, last.pretrain_seconds) == (42, 54, 50)
    assert last == played.end


def test_on_one_worker_everything_before_is_over() -> None:
    _, played = simulate(SHORT_AND_LONG, ProbeAll(), [1, 0], parallel=1)
    (only,) = played.curve  # the second model is worse
    assert (only.device_seconds, only.pretrain_seconds, only.probes) == (42, 40, 1)
    assert played.device_seconds == 54


def test_a_probe_under_way_counts_as_a_probe() -> None:
    landscape = Landscape(
        name="two", candidates=(candidate("a", 10, 0.5), candidate("b", 10.5, 0.75))
    )
    _, played = simulate(landscape, ProbeAll(), range(2), parallel=2)
    assert [moment.probes for moment in played.curve] == [2, 2]
    assert played.curve[0].device_seconds == 24


def test_the_worst_model_counts_until_a_model_is_probed() -> None:
    _, played = simulate(SHORT_AND_LONG, ProbeAll(), range(2), parallel=1)
    assert played.worst == 0.25
    _, nobody = simulate(SHORT_AND_LONG, ProbeNone(), range(2), parallel=1)
    assert nobody.regret == nobody.worst == 0.25
    assert nobody.curve == ()


@pytest.mark.parametrize("parallel", [1, 3, 4, 10, 50])
def test_probing_all_costs_the_grid(parallel: int) -> None:
    landscape = hump(23)
    _, played = simulate(landscape, ProbeAll(), range(22, -1, -1), parallel=parallel)
    assert played.pretrain_seconds == pytest.approx(played.grid.pretrain_seconds)
    assert played.device_seconds == pytest.approx(played.grid.device_seconds)
    assert played.wall_seconds == pytest.approx(played.grid.wall_seconds)


def test_idle_workers_cost_as_much_as_working_ones_where_they_are_paid() -> None:
    grid = Grid.of(SHORT_AND_LONG.candidates, 4)
    assert (grid.pretrain_seconds, grid.device_seconds, grid.wall_seconds) == (50, 54, 42)
    assert grid.reserved_per_second == 4


class StopsTheOther:
    """Stops or pauses the training of all others while the first is probed."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, history: History) -> Decision:
        ids, others = history.trial_ids, history.rows(State.TRAINING)
        verdicts = [
            Verdict(trial_id=ids[row], action="continue", reason="") for row in history.waiting
        ]
        if history.count(State.WAITING):
            verdicts += [
                Verdict(trial_id=ids[row], action=self.action, reason="") for row in others
            ]
        if history.count(State.PROBED):
            paused = history.rows(State.PAUSED)
            verdicts += [Verdict(trial_id=ids[row], action="continue", reason="") for row in paused]
        return Decision(zone=history.zone, verdicts=tuple(verdicts))


def test_a_stopped_trial_is_charged_only_as_far_as_it_ran() -> None:
    study, played = simulate(SHORT_AND_LONG, StopsTheOther("stop"), range(2), parallel=2)
    assert played.pretrain_seconds == 10 + 11
    assert played.wall_seconds == 12
    assert played.curve[-1].device_seconds == played.device_seconds == 23
    assert study.history.spent.device_seconds == 23
    assert study.history.state_of("long") == State.STOPPED


def test_a_paused_trial_goes_on_where_it_stopped() -> None:
    study, played = simulate(SHORT_AND_LONG, StopsTheOther("hold"), range(2), parallel=2)
    assert played.pretrain_seconds == 10 + 40
    assert played.wall_seconds == 12 + 29 + 2  # paused from 11 to 12
    assert played.curve[0].device_seconds == 23  # nothing runs while it is paused
    assert study.history.column("device_seconds")[1] == pytest.approx(42)


def test_an_order_without_any_probed_model_is_a_sentence() -> None:
    landscape = hump(10)
    with pytest.raises(DataError, match="no candidate of this order was probed"):
        simulate(landscape, ProbeAll(), [9], parallel=1)  # the last of ten collapsed


def test_a_table_without_costs_is_played() -> None:
    free = Landscape(name="free", candidates=(candidate("a", 0, 0.5), candidate("b", 0, 0.6)))
    _, played = simulate(free, ProbeAll(), range(2), parallel=2)
    assert played.regret == 0
