from __future__ import annotations

import pyarrow as pa
import pytest

from sweep.core.errors import DataError
from sweep.replay.landscape_rows import of_table


def test_an_incomplete_table_is_refused_and_says_what_is_missing() -> None:
    table = pa.table({"d": [16, 32], "alpha": [1.0, 2.0], "accuracy": [0.5, float("nan")]})
    with pytest.raises(DataError, match=r"not complete: 1 of 2 .* d=32 for one"):
        of_table("mine", table).complete()


def test_a_point_has_all_its_seeds() -> None:
    table = pa.table(
        {
            "d": [1, 1, 2, 2],
            "seed": [0, 1, 0, 1],
            "alpha": [1.0, 1.1, 2.0, 2.1],
            "accuracy": [0.1, 0.2, 0.3, 0.4],
        }
    )
    assert of_table("mine", table).points() == [[0, 1], [2, 3]]


def test_an_accuracy_has_a_standard_error_where_its_images_are_known() -> None:
    columns = {"alpha": [1.0, 2.0, 3.0], "accuracy": [0.6, 0.5, None]}
    found = of_table("mine", pa.table(columns | {"accuracy_images": [2400, None, 2400]}))
    errors = [candidate.accuracy_se for candidate in found.candidates]
    assert errors == [pytest.approx(0.01), None, None]
    assert found.within == pytest.approx(0.02)


def test_a_name_parts_seeds_only_where_candidates_share_it() -> None:
    columns = {
        "trial_id": ["a", "b", "c", "d"],
        "method.name": ["byol", "byol", "diet", "diet"],
        "path": ["/a", "/b", "/c", "/d"],
        "seed": [0, 1, 0, 1],
        "alpha": [1.0, 1.1, 2.0, 2.1],
        "accuracy": [0.1, 0.2, 0.3, 0.4],
    }
    assert of_table("mine", pa.table(columns)).points() == [[0, 1], [2, 3]]
