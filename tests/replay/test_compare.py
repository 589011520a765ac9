"""Rules over many orders: their figures and intervals, and how two rules differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from sweep.core.errors import ConfigError, DataError
from sweep.core.history import History
from sweep.core.records import Decision
from sweep.replay.compare import Results, compare, play, rows, to_table
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load
from sweep.replay.rule_specs import rule_specs
from sweep.rules.baselines import ProbeAll
from tests.landscapes import hump, recorded
from tests.replay.test_figures import order

DIGITS = Path(__file__).parent / "digits_six_looks.parquet"
"""The table `digits` as it was when the totals below were computed: with looks from 1/10."""

TOTALS: dict[str, dict[str, float]] = {
    "asha": {
        "mean_regret": 0.5333333333333301,
        "probes": 66.66666666666667,
        "pretrain_seconds": 93.1516854199969,
        "probe_seconds": 81.00421929401516,
        "wall_seconds": 27.935753718331398,
    },
    "goldilocks": {
        "mean_regret": 0.0,
        "probes": 22.0,
        "pretrain_seconds": 453.5986413909838,
        "probe_seconds": 38.08923541234132,
        "wall_seconds": 69.64546285199988,
    },
    "paper": {
        "mean_regret": 0.03333333333333337,
        "probes": 33.0,
        "pretrain_seconds": 453.5986413909838,
        "probe_seconds": 54.98214327233654,
        "wall_seconds": 61.57462096100365,
    },
    "tpe": {
        "mean_regret": 0.0,
        "probes": 41.0,
        "pretrain_seconds": 453.5986413909838,
        "probe_seconds": 68.55380349734212,
    },
}
"""What the accounting by whole segments gave (commit 6c5a27b; `goldilocks`: commit 5dbf7be with
`SPREAD` 0.5), and where its curves reached half a point:
`compare(load(DIGITS), [*TOTALS], orders=3, draws=0, leave_out=0.15)`."""
HALF_BY_SEGMENTS = {"paper": 0.34394, "tpe": 0.10345}


@pytest.mark.parametrize("name", [*TOTALS])
def test_totals_are_those_of_whole_segments_and_the_curve_is_not(name: str) -> None:
    (row,) = compare(load(DIGITS), [name], orders=3, draws=0, jobs=1, leave_out=0.15)
    assert {key: row[key] for key in TOTALS[name]} == pytest.approx(TOTALS[name])
    if name in HALF_BY_SEGMENTS:
        assert row["to_half_a_point"] > HALF_BY_SEGMENTS[name] + 0.001


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
        (["race:proposer=tpe"], "the rule 'race' chooses which candidate begins"),
        (["random"], "needs a number of probes"),
        (["random:as=paper"], "needs a number of probes"),
    ],
)
def test_a_contender_that_cannot_be_gets_a_sentence(names: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        rule_specs(names)


def test_results_stay_in_the_table(tmp_path: Path) -> None:
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


@dataclass(frozen=True, kw_only=True)
class Looking:
    """Probes all, and wants looks at some fractions."""

    online: ClassVar[bool] = True
    looks: tuple[float, ...] | None = None
    sources: tuple[Any, ...] = ()

    def __call__(self, history: History) -> Decision:
        return ProbeAll()(history)


@dataclass(frozen=True, kw_only=True)
class Measuring(Looking):
    """Wants measures on the way, and no labels before the end."""

    online: ClassVar[bool] = False
    early: ClassVar[bool] = True


def all_looks() -> Looking:
    return Looking()


def one_look() -> Looking:
    return Looking(looks=(0.3,), sources=(SimpleNamespace(name="earlier"),))


def no_look() -> Looking:
    return Looking(looks=())


def all_measures() -> Measuring:
    return Measuring()


def one_measure() -> Measuring:
    return Measuring(looks=(0.4,))


def test_a_rule_pays_for_the_looks_that_it_wants() -> None:
    landscape = Landscape(
        name="ten", candidates=tuple(recorded(f"c{i}", 1.0, 0.5 + i / 100) for i in range(10))
    )
    names = ["all_looks", "one_look", "no_look", "all_measures", "one_measure"]
    found = compare(landscape, [f"{__name__}:{name}" for name in names], orders=1, draws=0, jobs=1)
    assert [row["probes"] for row in found] == [30, 20, 10, 10, 10]
    assert [row["probe_seconds"] for row in found] == [60, 40, 20, 20, 20]
    assert [row["measure_seconds"] for row in found] == [10, 10, 10, 30, 20]
    assert {row["pretrain_seconds"] for row in found} == {400}
    assert [row["prior"] for row in found] == [[], ["earlier"], [], [], []]


def results_of(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> Results:
    """Two rules that are played in one order, and in two equal draws."""
    one, other = order(0.2, *first), order(0.2, *second)
    return Results(
        table="mine",
        candidates=4,
        orders=1,
        parallel=2,
        left_out=0.0,
        rules=tuple(rule_specs(["all", "asha"])),
        given={"all": [one], "asha": [other]},
        drawn={"all": [[one], [one]], "asha": [[other], [other]]},
        scale=1.0,
    )


def test_a_curve_is_compared_at_each_budget_from_which_a_model_is_known() -> None:
    first, second = rows(results_of([(100, 0.1)], [(50, 0.15)]))
    assert first["curve_not_above"] is None
    # Of the shares from .25 to 1, those from .25 to below .5 are lost, by 5 points.
    assert second["curve_not_above"] == pytest.approx(101 / 151)
    assert second["curve_most_above"] == pytest.approx(5)
    _, better = rows(results_of([(50, 0.05)], [(100, 0.0), (150, 0.0)]))
    assert better["curve_not_above"] == pytest.approx(50 / 151)
    _, never = rows(results_of([(50, 0.05)], [(50, 0.1)]))
    assert (never["curve_not_above"], never["curve_most_above"]) == (1.0, pytest.approx(-5))


def test_a_difference_within_the_paired_interval_is_not_above() -> None:
    results = results_of([(50, 0.06)], [(50, 0.05)])
    draws = {"all": [[order(0.2, (50, 0.04))], [order(0.2, (50, 0.08))]]}
    _, row = rows(replace(results, drawn={**results.drawn, **draws}))
    assert (row["less_regret_lo"], row["less_regret_hi"]) == pytest.approx((-1, 3))
    assert row["curve_not_above"] == 1.0
    assert row["curve_most_above"] == pytest.approx(1)


def test_the_curve_begins_with_the_worst_model_and_ends_with_the_mean_regret() -> None:
    (row,) = compare(hump(40), ["asha"], parallel=4, orders=3, draws=0, jobs=1)
    shares, regrets = zip(*row["curve"], strict=True)
    assert len(shares) == 200
    assert list(regrets) == sorted(regrets, reverse=True)
    assert regrets[0] > 10
    assert regrets[-1] == pytest.approx(row["mean_regret"], abs=1e-6)
    assert row["candidates"] == 40
    assert 0 < row["pretrain_fraction"] < row["device_seconds_fraction"]
    assert row["wall_fraction"] <= row["reserved_fraction"]


def test_intervals_hold_the_figure_and_stay_possible() -> None:
    for row in compare(hump(30), ["paper", "random"], orders=6, draws=5, jobs=1, leave_out=0.5):
        for name in ("p_within_1", "mean_regret", "probes", "pretrain_fraction"):
            assert 0 <= row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
        assert row["p_within_1_hi"] <= 1


def test_one_candidate_has_figures_without_intervals() -> None:
    landscape = Landscape(name="one", candidates=(recorded("a", 1.0, 0.5),))
    (row,) = compare(landscape, ["all"], orders=2, draws=3, jobs=1)
    assert row["mean_regret"] == 0
    assert row["mean_regret_lo"] is None


def test_half_of_the_candidates_may_be_left_out_of_each_order() -> None:
    results = play(hump(40), ["all"], parallel=4, orders=4, draws=0, jobs=1, leave_out=0.5)
    assert {played.grid.pretrain_seconds for played in results.given["all"]} == {20 * 40}
    tops = {played.worst for played in results.given["all"]}
    assert len(tops) > 1  # drawn anew for each order
