"""Which sources a rule learns from, and why others are not used."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.core.errors import ConfigError, DataError
from sweep.prediction.prior_file import shipped, to_bytes
from sweep.replay.compare import compare
from sweep.replay.landscape_files import load
from sweep.replay.priors import Prior, Target, choose
from sweep.replay.rule_specs import RuleSpec, rule_specs
from sweep.replay.sources import read
from tests.landscapes import hump

LANDSCAPES = Path(__file__).parents[2] / "experiments/landscapes"
TABLES = sorted(LANDSCAPES.glob("*.parquet"))

GRID = [{"d": d, "lambd": lambd} for d in (8, 64) for lambd in (0.01, 0.1)]
TWINS = Target(points=GRID, method="barlow_twins")


def csv(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.csv"
    path.write_text(text)
    return str(path)


def names(prior: Prior) -> list[str]:
    return [source.name for source in prior.sources]


def test_by_default_the_shipped_prior_of_the_method_is_used() -> None:
    assert names(choose("shipped", TWINS)) == [s.name for s in shipped("barlow_twins")]
    assert names(choose(["shipped"], TWINS)) == names(choose("shipped", TWINS))
    assert choose("shipped", replace(TWINS, method="simclr")) == Prior()
    assert choose("shipped", replace(TWINS, method=None)) == Prior()
    assert choose("shipped", Target(points=[{"lr": 0.1}, {"lr": 0.2}], method="byol")) == Prior()
    other_axis = Target(points=[{"epochs": 10}, {"epochs": 20}], method="barlow_twins")
    assert choose("shipped", other_axis) == Prior()


def test_a_study_of_ones_own_code_that_varies_lambda_counts_as_barlow_twins() -> None:
    assert names(choose("shipped", replace(TWINS, method="")))
    assert choose("shipped", Target(points=[{"d": 8}, {"d": 9}], method="")) == Prior()


@pytest.mark.parametrize("given", ["none", ["none"], []])
def test_none_is_no_prior(given: str | list[str]) -> None:
    assert choose(given, TWINS) == Prior()


def test_only_the_shared_axes_are_kept_under_the_names_of_the_study(tmp_path: Path) -> None:
    path = csv(tmp_path, "a", "d,train.lr,tau,alpha,accuracy\n8,.1,1,1,.5\n16,.2,2,1,.6\n")
    points = [{"method.d": 8, "lr": 0.1}, {"method.d": 32, "lr": 0.2}]
    (source,) = choose(path, Target(points=points, method="byol")).sources
    assert {name: column.tolist() for name, column in source.axes.items()} == {
        "method.d": [8, 16],
        "lr": [0.1, 0.2],
    }


def test_where_d_does_not_vary_lambda_is_that_of_the_same_lambda_times_d(tmp_path: Path) -> None:
    path = csv(tmp_path, "a", "d,lambd,alpha,accuracy\n8,.1,1,.5\n16,.2,1,.6\n")
    target = Target(points=[{"lambd": 0.1}, {"lambd": 0.2}], method="barlow_twins", d=32.0)
    (source,) = choose(path, target).sources
    assert source.axes["lambd"] == pytest.approx([0.025, 0.1])
    (unknown,) = choose(path, replace(target, d=None)).sources
    assert unknown.axes["lambd"] == pytest.approx([0.1, 0.2])


ROWS = {
    "no_axis": "tau,alpha,accuracy\n1,1,.5\n2,1,.6\n",
    "constant": "d,tau,alpha,accuracy\n8,1,1,.5\n8,2,1,.6\n",
    "single": "d,alpha,accuracy\n8,1,.5\n16,1,\n",
    "unprobed": "d,alpha,accuracy\n8,1,\n16,1,nan\n",
    "byol": "d,method.name,alpha,accuracy\n8,byol,1,.5\n16,byol,1,.6\n",
    "good": "d,alpha,accuracy\n8,1,.5\n16,1,.6\n",
}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_axis", "no_axis varies tau, and this study varies d, lambd"),
        ("constant", "constant varies tau, and this study varies d, lambd"),
        ("single", "single has one candidate with an accuracy, and a prior compares candidates"),
        ("unprobed", "unprobed has no candidate with an accuracy"),
        ("byol", "byol was trained by byol, and this study by barlow_twins"),
    ],
)
def test_a_source_that_cannot_be_used_is_named_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    path = csv(tmp_path, name, ROWS[name])
    with pytest.raises(ConfigError, match=rf"rule\.prior: no source can be used: {reason}.*\"none"):
        choose([path], TWINS)
    prior = choose([path, csv(tmp_path, "good", ROWS["good"])], TWINS)
    assert names(prior) == ["good"]
    assert len(prior.unused) == 1
    assert reason in prior.unused[0]


def test_a_study_of_several_methods_has_no_prior(tmp_path: Path) -> None:
    path = csv(tmp_path, "good", ROWS["good"])
    with pytest.raises(ConfigError, match="this study by several methods"):
        choose(path, replace(TWINS, method=None))


def test_a_source_that_is_given_twice_is_used_once(tmp_path: Path) -> None:
    path, other = csv(tmp_path, "good", ROWS["good"]), csv(tmp_path, "copy", ROWS["good"])
    prior = choose([path, other], TWINS)
    assert names(prior) == ["good"]
    assert prior.unused == ("rule.prior: copy is given twice.",)


def test_two_sources_of_one_name_get_two_names(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = csv(tmp_path / "more", "good", ROWS["good"].replace(".6", ".7"))
    assert names(choose([csv(tmp_path, "good", ROWS["good"]), other], TWINS)) == ["good", "good 2"]


def test_shipped_may_stand_beside_addresses(tmp_path: Path) -> None:
    path = csv(tmp_path, "good", ROWS["good"])
    assert names(choose(["shipped", path], TWINS))[-1] == "good"
    with pytest.raises(ConfigError, match="no prior of simclr comes with sweep"):
        choose(["shipped", path], replace(TWINS, method="simclr"))
    with pytest.raises(ConfigError, match=r'holds "none" and addresses'):
        choose(["none", path], TWINS)
    with pytest.raises(DataError, match=r"rule\.prior: .* cannot be a prior"):
        choose(["no/such/study"], TWINS)
    with pytest.raises(DataError, match=r"rule\.prior: There is no table nothing\.csv"):
        choose(["nothing.csv"], TWINS)


# In a replay ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_in_a_replay_the_table_itself_is_left_out_however_it_is_given(path: Path) -> None:
    landscape = load(path)
    rest = [s.name for s in shipped(landscape.method) if s.name != path.stem]
    target = Target.of_landscape(landscape)
    assert names(choose("shipped", target, replayed=landscape)) == rest
    assert names(choose(str(path), target, replayed=landscape)) == []
    part = landscape.part(range(0, len(landscape), 3))
    assert names(choose("shipped", target, replayed=part)) == rest
    assert target.method == landscape.method


def test_further_sources_are_left_out_by_name() -> None:
    landscape = load(LANDSCAPES / "digits.parquet")
    others = [source.name for source in shipped("barlow_twins") if source.name != "digits"]
    (spec,) = rule_specs([f"race:without={','.join(others)}"], landscape)
    assert spec.sources == ()
    (spec,) = rule_specs(["race:without=cifar10_small"], landscape)
    assert [source.name for source in spec.sources] == others[1:]
    with pytest.raises(ConfigError, match="The source to leave out 'cifar' is not known"):
        rule_specs(["race:without=cifar"], landscape)
    with pytest.raises(ConfigError, match="the rule 'asha' has no prior, so without="):
        RuleSpec.parse("asha:without=digits")


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("race", "shipped"),
        ("race:prior=none", ["none"]),
        ("race:prior=a.csv,results/b,focus=0.3", ["a.csv", "results/b"]),
        ("race:prior=s3://bucket/study,prior=2024", ["s3://bucket/study", "2024"]),
    ],
)
def test_a_prior_is_named_on_the_command_line(text: str, prior: str | list[str]) -> None:
    spec = RuleSpec.parse(text)
    given = spec.rule.parameters.get("prior", "shipped")
    assert given == prior
    assert "sources" not in spec.rule.parameters


def test_the_rule_of_a_replay_has_the_sources() -> None:
    landscape = load(LANDSCAPES / "digits.parquet")
    specs = rule_specs(["race", "race:prior=none", "asha"], landscape)
    counts = [len(getattr(spec.make_rule(seed=3), "sources", ())) for spec in specs]
    assert counts == [len(shipped("barlow_twins")) - 1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
def test_a_prior_that_is_wrong_throughout_does_little_harm(path: Path, tmp_path: Path) -> None:
    landscape, wrong = load(path), tmp_path / "wrong.json"
    sources = [found.source for table in TABLES for found in read(table)]
    flipped = [
        replace(source, accuracies=1 - source.accuracies)
        for source in sources
        if source.method == landscape.method
    ]
    wrong.write_bytes(to_bytes(flipped))
    orders = 10 if len(landscape) <= 64 else 3  # a large table takes seconds for each order
    none, misled = compare(
        landscape,
        ["race:prior=none", f"race:prior={wrong}"],
        orders=orders,
        draws=0,
        jobs=1,
        leave_out=0.15,
    )
    assert misled["prior"] == [source.name for source in flipped]
    # In few orders, one in which a good model beats the best by noise decides the mean.
    chance = 100 * landscape.within / 2 / math.sqrt(orders)
    assert misled["mean_regret"] <= none["mean_regret"] + 0.1 + chance
    assert misled["pretrain_fraction"] <= 1.25 * none["pretrain_fraction"]


def test_a_table_without_an_axis_of_the_shipped_prior_is_replayed_without(tmp_path: Path) -> None:
    (spec,) = rule_specs(["race"], replace(hump(20), method="barlow_twins"))
    assert [source.axes.keys() for source in spec.sources] == [{"d"}] * len(spec.sources)
    (spec,) = rule_specs(["race"], hump(20))
    assert spec.sources == ()
    path = csv(tmp_path, "byol", ROWS["byol"])
    with pytest.raises(ConfigError, match="byol was trained by byol"):
        rule_specs([f"race:prior={path}"], replace(hump(20), method="simclr"))
    rows = compare(hump(20), ["race", f"race:prior={path}"], orders=1, draws=0, jobs=1)
    assert np.isfinite(rows[1]["mean_regret"])
