from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sweep.errors import DataError
from sweep.landscape import correlations, load, of_table, pivot, write
from tests.landscapes import hump

COLUMNS = {"d": [16, 32], "alpha": [1.0, 2.0], "accuracy": [0.5, 0.6]}


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


def test_percent_becomes_a_share_and_names_may_differ() -> None:
    table = pa.table({"d": [16, 32], "a4": [1.0, 2.0], "top1": [50.0, 61.5]})
    found = of_table("mine", table, columns={"alpha": "a4", "accuracy": "top1"})
    assert [c.accuracy for c in found.candidates] == [0.5, 0.615]
    assert [c.trial_id for c in found.candidates] == ["d=16", "d=32"]


def test_a_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    path.write_text("trial_id,alpha,accuracy\na,1.0,0.5\nb,,\n")
    found = load(path)
    assert found.candidates[1].broken
    assert found.complete() is found


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"d": [1], "accuracy": [0.5]}, r"no criterion: no column alpha, rankme or loss"),
        ({"d": [1], "alpha": [1.0]}, r"no column accuracy\. Name it with --column accuracy=NAME"),
        (COLUMNS | {"d": [16, 16]}, r"holds the candidate d=16 twice"),
        (COLUMNS | {"trial_id": ["a", "a"]}, r"holds the candidate a twice"),
        (COLUMNS | {"probe_seconds": [1.0, -1.0]}, r"probe_seconds .* is -1, but must be >= 0"),
        (COLUMNS | {"fraction": [1.5, 1.0]}, r"fraction of the candidate .* is 1\.5"),
        (COLUMNS | {"fraction": [0.5, 1.0]}, r"no row of the candidate d=16 at the end"),
        ({"alpha": [], "accuracy": []}, r"mine has no row"),
    ],
)
def test_what_is_no_table_of_trials_gets_a_sentence(
    columns: dict[str, list[object]], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        of_table("mine", pa.table(columns))


def test_training_seconds_that_fall_get_a_sentence() -> None:
    table = pa.table(
        {
            "trial_id": ["a", "a"],
            "fraction": [0.5, 1.0],
            "alpha": [1.0, 1.0],
            "accuracy": [0.4, 0.5],
            "pretrain_seconds": [20.0, 10.0],
        }
    )
    with pytest.raises(DataError, match="falls from 20 to 10"):
        of_table("mine", table)


def test_an_incomplete_table_is_refused_and_says_what_is_missing() -> None:
    table = pa.table(COLUMNS | {"accuracy": [0.5, float("nan")]})
    with pytest.raises(DataError, match=r"not complete: 1 of 2 .* d=32 for one"):
        of_table("mine", table).complete()


def test_a_draw_keeps_the_seeds_of_a_point_together() -> None:
    table = pa.table(
        {
            "d": [1, 1, 2, 2],
            "seed": [0, 1, 0, 1],
            "alpha": [1.0, 1.1, 2.0, 2.1],
            "accuracy": [0.1, 0.2, 0.3, 0.4],
        }
    )
    drawn = of_table("mine", table).resampled(np.random.default_rng(0))
    assert len(drawn) == 4
    assert len({c.trial_id for c in drawn.candidates}) == 4
    points = [(c.point["d"], c.point["seed"]) for c in drawn.candidates]
    assert points[0][0] == points[1][0]
    assert {points[0][1], points[1][1]} == {0.0, 1.0}


def test_correlations_find_what_goes_with_accuracy() -> None:
    table = pa.table(
        {
            "alpha": [float(i) for i in range(20)],
            "loss": [1.0] * 20,
            "accuracy": [i / 40 for i in range(20)],
        }
    )
    rows = {row["criterion"]: row for row in correlations(of_table("m", table)).to_pylist()}
    assert rows["alpha"]["spearman"] == pytest.approx(1.0)
    assert rows["loss"]["spearman"] != rows["loss"]["spearman"]  # constant: no correlation


def test_a_pivot_is_the_mean_over_seeds_and_empty_where_nothing_is() -> None:
    columns = {"d": [1, 1, 2], "lambd": [0.1, 0.1, 0.2], "seed": [0, 1, 0]}
    columns |= {"alpha": [1.0, 1.2, 2.0], "accuracy": [0.2, 0.4, 0.5]}
    over = pivot(of_table("m", pa.table(columns)), "alpha")
    assert over is not None
    assert over.to_pylist() == [
        {"lambd": 0.1, "d=1": 1.1, "d=2": None},
        {"lambd": 0.2, "d=1": None, "d=2": 2.0},
    ]
    assert pivot(hump(5), "alpha") is None
