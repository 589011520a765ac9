from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.core.errors import DataError
from sweep.replay.join import Slice, join
from sweep.replay.landscape_files import about, load, write
from tests.landscapes import hump


def slices(*changes: dict[str, Any]) -> list[Slice]:
    """Return the two halves of a table of ten candidates, with configs of one study."""
    whole = hump(10)
    rows = [range(5), range(5, 10)]
    return [
        Slice(
            landscape=whole.part(part),
            about={
                "config": {
                    "name": f"hump-{number}",
                    "seed": 0,
                    "space": {"points": [{"d": row} for row in part]},
                    **change,
                }
            },
        )
        for number, (part, change) in enumerate(zip(rows, changes or ({}, {}), strict=True))
    ]


def test_slices_are_joined_in_their_order() -> None:
    table = join("hump", slices())
    assert table.landscape.candidates == hump(10).candidates
    assert table.landscape.name == "hump"
    config = table.about["config"]
    assert (config["name"], config["seed"]) == ("hump", 0)
    assert config["space"] == {"points": [{"d": row} for row in range(10)]}


def test_a_single_table_is_returned_as_it_is() -> None:
    (first, _) = slices()
    assert join("other", [first]) is first


def test_a_candidate_of_two_slices_is_refused() -> None:
    first, second = slices()
    both = Slice(landscape=hump(10), about=second.about)
    with pytest.raises(DataError, match="both hold the candidate"):
        join("hump", [first, both])


def test_slices_that_were_trained_differently_are_refused() -> None:
    with pytest.raises(DataError, match="configs differ in seed, train"):
        join("hump", slices({"train": {"epochs": 1}}, {"train": {"epochs": 2}, "seed": 1}))


def test_slices_on_other_machines_are_joined() -> None:
    join("hump", slices({"resources": {"gpu": 0}}, {"resources": {"gpu": 1}}))


def test_tables_without_a_config_are_joined() -> None:
    first, second = slices()
    foreign = Slice(landscape=second.landscape, about={"table": "models.csv"})
    assert "config" in join("hump", [first, foreign]).about
    assert "config" not in join("hump", [foreign, first]).about


def test_the_config_is_read_from_a_file(tmp_path: Path) -> None:
    for part in slices():
        write(
            part.landscape, tmp_path / f"{part.about['config']['name']}.parquet", about=part.about
        )
    files = [tmp_path / "hump-0.parquet", tmp_path / "hump-1.parquet"]
    table = join("hump", [Slice(landscape=load(file), about=about(file)) for file in files])
    assert table.about["slices"] == ["hump-0", "hump-1"]
    assert len(table.about["config"]["space"]["points"]) == 10


def test_a_csv_says_nothing_about_itself_and_a_damaged_file_gets_a_sentence(
    tmp_path: Path,
) -> None:
    assert about(tmp_path / "models.csv") == {}
    (tmp_path / "models.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as a table"):
        about(tmp_path / "models.parquet")
