from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sweep.errors import DataError
from sweep.landscape_rows import of_table


def test_an_incomplete_table_is_refused_and_says_what_is_missing() -> None:
    table = pa.table({"d": [16, 32], "alpha": [1.0, 2.0], "accuracy": [0.5, float("nan")]})
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
