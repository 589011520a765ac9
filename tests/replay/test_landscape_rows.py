from __future__ import annotations

import pyarrow as pa
import pytest

from sweep.core.errors import DataError
from sweep.replay.landscape_rows import of_table

COLUMNS = {"d": [16, 32], "alpha": [1.0, 2.0], "accuracy": [0.5, 0.6]}


def test_percent_becomes_a_share_and_names_may_differ() -> None:
    table = pa.table({"d": [16, 32], "a4": [1.0, 2.0], "top1": [50.0, 61.5]})
    found = of_table("mine", table, columns={"alpha": "a4", "accuracy": "top1"})
    assert [c.accuracy for c in found.candidates] == [0.5, 0.615]
    assert [c.trial_id for c in found.candidates] == ["d=16", "d=32"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"d": [1], "accuracy": [0.5]}, r"no criterion: no column alpha, rankme or loss"),
        ({"d": [1], "alpha": [1.0]}, r"no column accuracy\. Name it with --column accuracy=NAME"),
        (COLUMNS | {"d": [16, 16]}, r"holds the candidate d=16 twice"),
        (COLUMNS | {"trial_id": ["a", "a"]}, r"holds the candidate a twice"),
        (COLUMNS | {"probe_seconds": [1.0, -1.0]}, r"probe_seconds .* is -1, but must be >= 0"),
        (COLUMNS | {"accuracy": [0.5, -0.2]}, r"A row has the accuracy -0\.2, but accuracies lie"),
        (COLUMNS | {"accuracy": [50, 101]}, r"A row has the accuracy 101, but accuracies lie"),
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
