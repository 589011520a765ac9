"""Sources of a prior: read from tables, studies and prior files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.core.errors import DataError
from sweep.core.records import Cost
from sweep.prediction.earlier import Source
from sweep.prediction.prior_file import to_bytes
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load, write
from sweep.replay.sources import Read, described, of_landscape, read, shares_trials
from tests.landscapes import hump, recorded

LANDSCAPES = Path(__file__).parents[2] / "experiments/landscapes"
TABLES = sorted(LANDSCAPES.glob("*.parquet"))


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def only(found: list[Read]) -> Source:
    (one,) = found
    return one.source


def test_a_source_holds_the_axes_accuracies_and_label_free_measures_of_a_table() -> None:
    source = only(read(LANDSCAPES / "digits.parquet"))
    assert (source.name, source.method, sorted(source.axes)) == (
        "digits",
        "barlow_twins",
        ["d", "lambd"],
    )
    assert source.fractions == (0.03125, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0)
    assert source.accuracies.shape == (48, 7)
    assert sorted(source.measures) == ["alpha", "invariance", "loss", "rankme", "redundancy"]
    landscape = load(LANDSCAPES / "digits.parquet")
    assert np.array_equal(source.accuracies[:, -1], landscape.accuracies)


def test_the_digest_depends_on_points_and_accuracies_and_not_on_their_order(tmp_path: Path) -> None:
    before = hump(20)
    digest = of_landscape(before)[0].source.digest
    assert of_landscape(before.part(range(19, -1, -1)))[0].source.digest == digest
    assert of_landscape(before.part(range(19)))[0].source.digest != digest
    write(before, tmp_path / "other.parquet", about={})
    assert read(tmp_path / "other.parquet")[0].source.digest == digest


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_source_shares_trials_with_its_table_a_part_and_a_join_of_it(path: Path) -> None:
    own, source = load(path), only(read(path))
    others = [other for other in TABLES if other != path]
    for other in others:
        assert not shares_trials(source, load(other))
    joined = replace(own, candidates=(*own.candidates, *load(others[0]).candidates))
    sliced = own.part(range(3, 9))
    for same in (own, own.part([2]), sliced, joined):
        assert shares_trials(source, same)
    assert shares_trials(of_landscape(sliced)[0].source, own)
    flipped = replace(source, accuracies=1 - source.accuracies)
    assert not shares_trials(flipped, own)


def test_a_table_without_a_method_counts_as_barlow_twins_if_it_varies_lambda(
    tmp_path: Path,
) -> None:
    (one,) = read(table(tmp_path / "a.csv", "lambd,d,alpha,accuracy\n.1,8,1,.5\n.2,8,1,.6\n"))
    assert one.assumed
    assert one.source.method == "barlow_twins"
    assert described(one) == (
        "a: 2 candidates over lambd, d; barlow_twins (assumed, because it names no method and "
        "varies lambda); looks at 1"
    )
    (two,) = read(table(tmp_path / "b.csv", "tau,alpha,accuracy\n.1,1,.5\n.2,1,.6\n"))
    assert (two.source.method, two.assumed) == ("", False)
    assert "method unknown" in described(two)


def test_the_method_in_a_tables_metadata_is_kept(tmp_path: Path) -> None:
    landscape = replace(hump(10), method="byol")
    write(landscape, tmp_path / "hump.parquet", about={"table": "hump.csv"})
    assert load(tmp_path / "hump.parquet").method == "byol"
    assert only(read(tmp_path / "hump.parquet")).method == "byol"


def test_candidates_of_several_methods_are_several_sources(tmp_path: Path) -> None:
    rows = "method.name,d,alpha,accuracy\nbyol,8,1,.5\nbyol,16,1,.6\nsimclr,8,1,.4\nsimclr,9,1,.3\n"
    found = read(table(tmp_path / "a.csv", rows))
    assert [(one.source.name, one.source.method) for one in found] == [
        ("a (byol)", "byol"),
        ("a (simclr)", "simclr"),
    ]


def test_lambda_times_d_becomes_lambda_and_long_names_short_ones(tmp_path: Path) -> None:
    rows = "lambd_d,method.d,train.lr,seed,alpha,accuracy\n1,8,.1,0,1,.5\n2,16,.2,1,1,.6\n"
    source = only(read(table(tmp_path / "a.csv", rows)))
    assert sorted(source.axes) == ["d", "lr"]  # lambd is 0.125 throughout
    rows = rows.replace("\n2,", "\n3.2,")
    source = only(read(table(tmp_path / "b.csv", rows)))
    assert source.axes["lambd"].tolist() == [0.125, 0.2]


def test_candidates_without_an_accuracy_are_left_out(tmp_path: Path) -> None:
    rows = "d,alpha,accuracy\n8,1,\n16,1,.5\n32,1,.6\n"
    source = only(read(table(tmp_path / "a.csv", rows)))
    assert source.axes["d"].tolist() == [16, 32]
    none = only(read(table(tmp_path / "b.csv", "d,alpha,accuracy\n8,1,\n16,1,nan\n")))
    assert none.accuracies.shape == (0, 1)
    assert "0 candidates over no axis" in described(Read(source=none))


def test_looks_without_final_accuracies_are_a_source(tmp_path: Path) -> None:
    rows = "trial_id,d,fraction,accuracy\na,8,.25,.3\na,8,.5,.4\nb,16,.25,.5\n"
    source = only(read(table(tmp_path / "a.csv", rows)))
    assert source.fractions == (0.25, 0.5, 1.0)
    known = [[0.3, 0.4, np.nan], [0.5, np.nan, np.nan]]
    assert np.array_equal(source.accuracies, known, equal_nan=True)
    with pytest.raises(DataError, match="no criterion"):  # a replay needs more than a prior does
        load(tmp_path / "a.csv")


def test_a_table_in_percent_is_divided_by_100(tmp_path: Path) -> None:
    source = only(read(table(tmp_path / "a.csv", "d,alpha,accuracy\n8,1,50\n16,1,60\n")))
    assert source.accuracies.ravel().tolist() == [0.5, 0.6]


def test_accuracies_beyond_1_that_are_no_percent_of_a_table_are_refused() -> None:
    percent = [recorded(f"c{d}", 1.0, 50.0 + d, d=float(d)) for d in (8, 16)]
    with pytest.raises(DataError, match=r"hump cannot be a prior: .*must be parts of 1\. Divide"):
        of_landscape(Landscape(name="hump", candidates=tuple(percent)))


def test_costs_do_not_count() -> None:
    before = hump(10)
    free = replace(
        before,
        candidates=tuple(
            replace(c, seen=tuple(replace(s, cost=Cost()) for s in c.seen))
            for c in before.candidates
        ),
    )
    assert to_bytes([only(of_landscape(free))]) == to_bytes([only(of_landscape(before))])


def test_a_prior_file_is_a_source_of_a_prior(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes(to_bytes([only(of_landscape(hump(10)))]))
    assert only(read(tmp_path / "p.json")).name == "hump"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", r"nothing cannot be a prior\. A prior is the folder of a study, a \.parquet"),
        ("nothing.json", r"The prior .*nothing\.json cannot be read: No such file"),
        ("nothing.csv", r"There is no table .*nothing\.csv"),
        ("empty.csv", r"cannot be read as a table|has no row"),
        ("no_accuracy.csv", r"no_accuracy has no column accuracy"),
        ("odd.csv", r"Row 1 has the accuracy -0\.5"),
        ("folder", r"folder cannot be a prior"),
        ("study.toml", r"study\.toml cannot be a prior"),
    ],
)
def test_what_cannot_be_a_prior_gets_a_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for file, text in {
        "empty.csv": "",
        "no_accuracy.csv": "d,alpha\n8,1\n16,1\n",
        "odd.csv": "d,alpha,accuracy\n8,1,-.5\n16,1,.5\n",
        "study.toml": "name = 'x'\n",
    }.items():
        table(tmp_path / file, text)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / name)
