"""The same rule and step over recorded tables, on a virtual clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.config.models import BudgetConfig
from sweep.core.errors import ConfigError, DataError
from sweep.core.events import Observed, TrialStarted
from sweep.replay.landscape import Landscape
from sweep.replay.rule_specs import rule_specs
from sweep.replay.simulate import compare, simulate
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


def test_goldilocks_probes_less_than_the_paper_and_loses_no_more() -> None:
    names, probes = ["goldilocks:tolerance=0.001", "paper"], []
    for seed in range(3):
        table = hump(60, seed=seed)
        fitted, paper = compare(table, names, orders=6, draws=0, jobs=1)
        probes.append((fitted["probes"], paper["probes"]))
        assert fitted["mean_regret"] <= paper["mean_regret"] + 0.5
    assert sum(fitted for fitted, _ in probes) < 0.95 * sum(paper for _, paper in probes)


def test_random_gets_as_many_probes_as_the_rule_it_is_held_against() -> None:
    rows = compare(hump(40), ["random", "paper"], orders=4, draws=2, jobs=1)
    assert [row["rule"] for row in rows] == ["random", "paper"]
    assert rows[0]["matched"] == "paper"
    assert rows[0]["probes"] == pytest.approx(rows[1]["probes"])
    assert rows[0]["p_within_1_lo"] <= rows[0]["p_within_1_hi"]


def test_the_same_seed_gives_the_same_figures_in_one_process_or_two() -> None:
    one, two = (compare(hump(20), ["paper"], orders=8, draws=2, jobs=jobs) for jobs in (1, 2))
    assert one == two


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


def test_an_incomplete_table_is_not_played() -> None:
    whole = hump(10)
    first = replace(whole.candidates[0], seen=whole.candidates[0].seen[:-1])
    with pytest.raises(DataError, match="not complete"):
        compare(replace(whole, candidates=(first, *whole.candidates[1:])), ["paper"], orders=1)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["golden"], "golden.*goldilocks"),
        (["paper:round=2"], r"rule\.round is 2: input should be greater than or equal to 4"),
        (["paper:round"], "'round' is not key=value"),
        (["paper:eta=2"], r"rule\.eta is no key of paper\..* Keys of paper: round, sync"),
        (["paper:name=all"], r"the rule's name stands before its keys, as 'paper' does"),
        (["nowhere:mine:margin=1"], "'nowhere:mine': No module named 'nowhere'"),
        (["all:proposer=best"], r"The proposer 'best' is not known"),
        (["random"], "needs a number of probes"),
        (["random:as=paper"], "needs a number of probes"),
    ],
)
def test_a_contender_that_cannot_be_gets_a_sentence(names: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        rule_specs(names)


def test_results_stay_in_the_table(tmp_path: Path) -> None:
    from sweep.replay.simulate import to_table

    rows = compare(hump(20), ["paper"], orders=2, draws=0, jobs=1)
    table = to_table(rows, tmp_path / "rows.parquet", brief=False)
    needed = {"table", "rule", "orders", "p_within_1", "mean_regret", "worst_regret", "probes"}
    assert needed | {"device_seconds_fraction"} <= set(table.column_names)
    assert (tmp_path / "rows.parquet").exists()


def test_orders_that_leave_candidates_out_end_differently_for_who_ignores_order() -> None:
    landscape = hump(40)
    whole, part = (
        compare(landscape, ["alpha_one"], orders=8, draws=0, jobs=1, leave_out=share)[0]
        for share in (0.0, 0.3)
    )
    assert whole["worst_regret"] == pytest.approx(whole["mean_regret"])
    assert part["worst_regret"] > part["mean_regret"]
    assert part["left_out"] == 0.3


def test_a_table_in_which_one_candidate_was_probed_survives_being_left_out() -> None:
    broken = [recorded(f"b{i}", None, 0.0) for i in range(5)]
    landscape = Landscape(name="ruin", candidates=(*broken, recorded("a", 1.0, 0.5)))
    (row,) = compare(landscape, ["all"], orders=4, draws=2, jobs=1, leave_out=0.5)
    assert row["mean_regret"] == 0


def test_all_but_everything_may_be_left_out() -> None:
    with pytest.raises(ConfigError, match=r"leave_out is 1, but must be >= 0 and < 1\."):
        compare(hump(4), ["all"], leave_out=1.0)
