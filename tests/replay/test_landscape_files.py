from __future__ import annotations

from pathlib import Path

import pytest

from sweep.core.errors import DataError
from sweep.replay.landscape_files import load, write
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
