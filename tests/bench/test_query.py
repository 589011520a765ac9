"""The bench runs on a small study, and its two ways agree (it raises where they do not)."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.bench.query import run, write_study
from sweep.tables.results import load


def test_the_bench_gives_a_figure_of_a_real_study(tmp_path: Path) -> None:
    figure = json.loads(run(repeats=2, trials=50).to_json())
    assert figure["name"] == "query"
    assert figure["unit"] == "s"
    assert figure["ratio"] == figure["value"] / figure["baseline"]
    assert figure["trials"] == 50
    write_study(tmp_path, 50)
    assert set(load(tmp_path).trials["status"].to_pylist()) == {"probed"}
    assert load(tmp_path).observations.num_rows == 150
