"""Costs of a table whose models were trained beside other work."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "landscapes"


@pytest.fixture(scope="module")
def even_costs() -> Iterator[Any]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("even_costs")
    sys.path.remove(str(FOLDER))
    del sys.modules["even_costs"]


def table(d: list[int], fraction: list[float], seconds: list[float]) -> pa.Table:
    columns = {"d": d, "fraction": fraction, "pretrain_seconds": seconds}
    looks = {"measure_seconds": [2.0] * len(d), "probe_seconds": [3.0] * len(d)}
    return pa.table({**columns, **looks}).replace_schema_metadata({"sweep": "{}"})


def test_all_candidates_have_the_median_seconds_of_each_fraction(even_costs: Any) -> None:
    before = table([16, 32, 64] * 2, [0.5] * 3 + [1.0] * 3, [1.0, 2.0, 9.0, 4.0, 5.0, 6.0])
    after = even_costs.even(before)
    assert after["pretrain_seconds"].to_pylist() == [2.0] * 3 + [5.0] * 3


def test_costs_of_another_run_are_a_part_of_its_whole_training(even_costs: Any) -> None:
    other = table([16, 16, 64, 64, 64], [1.0, 1.0, 0.5, 1.0, 1.0], [4.0, 6.0, 9.0, 20.0, 40.0])
    after = even_costs.even_like(table([16, 64, 64], [0.25, 0.25, 1.0], [0.0] * 3), other, "d")
    assert after["pretrain_seconds"].to_pylist() == [1.25, 7.5, 30.0]
    assert after["probe_seconds"].to_pylist() == [3.0] * 3
    assert after.schema.metadata[b"sweep"] == b'{"costs": "median of an earlier run, for each d"}'
