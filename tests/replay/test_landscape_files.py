from __future__ import annotations

from pathlib import Path

import pytest

from sweep.core.errors import DataError, StudyWarning
from sweep.core.events import CandidateAdded, Observed
from sweep.core.records import Measure, Observation
from sweep.replay.landscape_files import load, of_events, write
from tests.landscapes import hump


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    before = hump(20)
    write(before, tmp_path / "hump.parquet", about={"config": {}})
    after = load(tmp_path / "hump.parquet")
    assert after.name == "hump"
    assert [c.trial_id for c in after.candidates] == [c.trial_id for c in before.candidates]
    for one, other in zip(after.candidates, before.candidates, strict=True):
        assert (one.accuracy, one.test_accuracy) == (other.accuracy, other.test_accuracy)
        assert one.point == other.point
        assert one.broken == other.broken
        assert one.pretrain_seconds == pytest.approx(other.pretrain_seconds)
        looks = [(s.stage, s.fraction, s.cost) for s in one.seen]
        assert looks == [(s.stage, s.fraction, s.cost) for s in other.seen]


def test_a_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    path.write_text("trial_id,alpha,accuracy\na,1.0,0.5\nb,,\n")
    found = load(path)
    assert found.candidates[1].broken
    assert found.complete() is found


@pytest.mark.parametrize("name", ["models.csv", "models.parquet"])
def test_what_is_no_text_and_no_table_gets_a_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\xea\xe3/-\n1\n")
    with pytest.raises(DataError, match="cannot be read as a table"):
        load(tmp_path / name)


def test_a_csv_has_fields_whose_values_are_names(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    path.write_text(
        "trial_id,method.name,flip,alpha,accuracy\na,byol,true,1,0.5\nb,diet,false,2,0.6\n"
    )
    names = [candidate.names for candidate in load(path).candidates]
    assert names == [
        {"method.name": "byol", "flip": True},
        {"method.name": "diet", "flip": False},
    ]


def test_a_studys_folder_has_fields_whose_values_are_names(tmp_path: Path) -> None:
    measure = Measure(name="alpha", value=1.0)
    accuracy = Measure(name="accuracy", value=0.5)
    seen = Observation(stage="probed", step=1, measures=(measure, accuracy))
    point = {"method.name": "byol", "d": 64, "flip": True, "odd": [1]}
    landscape = of_events(
        "x",
        [
            CandidateAdded(seq=0, trial_id="t", point=point, config={}, index=0),
            Observed(seq=1, trial_id="t", observation=seen),
        ],
    )
    (candidate,) = landscape.candidates
    assert candidate.point == {"d": 64.0}
    assert candidate.names == {"method.name": "byol", "flip": True}
    write(landscape, tmp_path / "x.parquet", about={})
    assert load(tmp_path / "x.parquet").candidates[0].names == candidate.names


def test_a_column_whose_name_says_that_it_comes_from_labels_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    path.write_text("trial_id,d,alpha,val_acc,macro_f1,accuracy\na,8,1,1,2,0.5\nb,9,2,3,4,0.6\n")
    with pytest.warns(StudyWarning, match="from labels: val_acc, macro_f1"):
        found = load(path)
    assert [candidate.point for candidate in found.candidates] == [{"d": 8.0}, {"d": 9.0}]
    with pytest.warns(StudyWarning, match="from labels: macro_f1"):
        named = load(path, columns={"earlier": "val_acc"})
    assert named.candidates[1].point == {"d": 9.0, "earlier": 3.0}
