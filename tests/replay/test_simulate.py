"""The same rule and step over recorded tables, on a virtual clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from sweep.config.models import BudgetConfig
from sweep.core.events import Observed, TrialStarted
from sweep.core.history import History
from sweep.core.records import Decision
from sweep.replay.landscape import Landscape
from sweep.replay.simulate import simulate
from sweep.rules import RULES, Rule
from sweep.rules.baselines import ProbeAll
from tests.landscapes import hump, recorded


def rule(name: str, **fields: Any) -> Rule:
    return RULES[name](**fields)


def test_probing_all_finds_the_best_and_costs_everything() -> None:
    landscape = hump(20)
    _, played = simulate(landscape, ProbeAll(), range(20), parallel=1)
    assert played.regret == 0
    assert played.probes == 18  # two collapsed
    assert played.pretrain_seconds == pytest.approx(20 * 40)
    assert played.wall_seconds == pytest.approx(20 * 41 + 18 * 2)


def test_workers_share_the_work_and_nobody_waits() -> None:
    landscape = hump(20)
    _, one = simulate(landscape, ProbeAll(), range(20), parallel=1)
    _, ten = simulate(landscape, ProbeAll(), range(20), parallel=10)
    assert ten.pretrain_seconds == one.pretrain_seconds
    assert ten.wall_seconds == pytest.approx(2 * 43)


def test_the_order_decides_who_begins() -> None:
    study, _ = simulate(hump(20), rule("paper", round=4), range(19, -1, -1), parallel=1)
    started = [event.trial_id for event in study.events() if isinstance(event, TrialStarted)]
    assert started[:3] == ["c19", "c18", "c17"]


@pytest.mark.parametrize("name", ["halving", "asha"])
def test_label_hungry_rules_stop_most_trials_early(name: str) -> None:
    landscape = hump(40)
    _, played = simulate(landscape, rule(name), range(40), parallel=4, online=True)
    assert played.pretrain_seconds < 0.7 * 40 * 40
    assert played.regret < 0.02
    assert played.probes > 40


def test_halving_keeps_one_in_eta_at_each_rung() -> None:
    landscape = Landscape(
        name="line",
        candidates=tuple(recorded(f"c{i}", 1.0 + i / 100, 0.3 + i / 100) for i in range(18)),
    )
    study, played = simulate(landscape, rule("halving"), range(18), parallel=3, online=True)
    ended = [e.trial_id for e in study.events() if isinstance(e, Observed) and _ends(e)]
    assert sorted(ended) == ["c16", "c17"]  # 18 -> 6 -> 2
    assert played.regret == 0


def _ends(event: Observed) -> bool:
    return event.observation.stage == "probed" and event.observation.final


def test_a_budget_ends_a_replay_as_it_ends_a_study() -> None:
    budget = BudgetConfig(device_seconds=200)
    study, played = simulate(hump(40), ProbeAll(), range(40), parallel=2, budget=budget)
    assert "device_seconds" in study.why_it_ends()
    assert played.pretrain_seconds < 300


def test_all_alphas_equal_and_one_candidate_only_come_to_an_end() -> None:
    same = tuple(recorded(f"c{i}", 1.0, 0.5) for i in range(12))
    for name in ("goldilocks", "paper", "blocks", "largest_rankme", "alpha_one"):
        for candidates in (same, same[:1], same[:3]):
            landscape = Landscape(name="same", candidates=candidates)
            study, _ = simulate(landscape, rule(name), range(len(candidates)), parallel=4)
            assert study.next() is None


@dataclass(frozen=True)
class Looks:
    looks: tuple[float, ...] | None

    def __call__(self, history: History) -> Decision:
        return ProbeAll()(history)


@pytest.mark.parametrize(
    ("looks", "seen"),
    [
        (None, {0.25, 0.5, 1.0}),
        ((), {1.0}),
        ((0.3,), {0.25, 1.0}),
        ((0.37,), {0.5, 1.0}),  # nearer by its ratio, though not by its difference
        ((0.9, 0.001, 0.2), {0.25, 0.5, 1.0}),
    ],
)
def test_a_rule_is_shown_the_looks_nearest_to_those_that_it_names(
    looks: tuple[float, ...] | None, seen: set[float]
) -> None:
    for stage in ("probed", "measured"):
        study, _ = simulate(
            hump(5),
            Looks(looks),
            range(5),
            parallel=2,
            online=stage == "probed",
            early=stage == "measured",
        )
        shown = {
            event.observation.fraction
            for event in study.events()
            if isinstance(event, Observed) and event.observation.stage == stage
        }
        assert shown == seen


def test_a_table_without_looks_has_none_to_show() -> None:
    bare = tuple(replace(c, seen=tuple(s for s in c.seen if s.final)) for c in hump(5).candidates)
    study, _ = simulate(
        Landscape(name="bare", candidates=bare), Looks((0.5,)), range(5), parallel=2, online=True
    )
    assert study.history.fractions == ()
