"""Frontiers of regret over each budget, as a table and as a picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sweep.cli import app
from sweep.replay.compare import play
from sweep.replay.figures import AXES
from sweep.replay.frontier import SCHEMA, budgets, frontiers
from sweep.replay.frontier_plot import PANELS, draw
from sweep.replay.landscape_files import write
from tests.landscapes import hump

RULES = ["asha", "paper:round=4"]


def test_every_rule_has_a_row_for_each_axis_and_budget() -> None:
    results = play(hump(30), RULES, parallel=3, orders=3, draws=3, jobs=1)
    table = frontiers([results, results])
    assert table.schema == SCHEMA
    expected = 2 * len(RULES) * sum(len(budgets(results, axis)) for axis in AXES)
    assert table.num_rows == expected
    rows = [row for row in table.to_pylist() if row["rule"] == "asha" and row["budget"] == "device"]
    regrets = [row["mean_regret"] for row in rows[:200]]
    assert regrets == sorted(regrets, reverse=True)
    assert all(row["less_regret"] == 0 for row in rows)
    assert all(row["mean_regret_lo"] <= row["mean_regret"] <= row["mean_regret_hi"] for row in rows)


def test_budgets_are_at_most_200_and_idle_workers_may_exceed_the_grid() -> None:
    results = play(hump(30), ["asha"], parallel=3, orders=2, draws=0, jobs=1)
    for axis in AXES:
        amounts = budgets(results, axis)
        assert 0 < len(amounts) <= 200
        assert (np.diff(amounts) > 0).all()
    assert budgets(results, "reserved")[-1] == 1.5
    assert budgets(results, "probes")[-1] == max(p.probes for p in results.given["asha"])


def test_without_draws_there_is_no_interval_and_no_band() -> None:
    results = play(hump(20), RULES, parallel=3, orders=2, draws=0, jobs=1)
    table = frontiers([results])
    assert table["mean_regret_lo"].null_count == table.num_rows
    spec = draw(table)
    assert "Bands" not in " ".join(spec["title"]["subtitle"])
    (row,) = spec["vconcat"]
    assert [panel["title"]["text"] for panel in row["hconcat"]] == list(PANELS.values())
    ends = [r for r in spec["datasets"]["frontiers"] if r["axis"] == "device" and "ended" in r]
    assert [end["rule"] for end in ends] == RULES


def test_the_command_writes_the_picture_and_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [tmp_path / f"{name}.parquet" for name in ("one", "$two")]
    for number, path in enumerate(tables):
        write(hump(20, seed=number), path, about={})
    words = ["replay", *map(str, tables), "--rules", ",".join(RULES), "--orders", "2"]
    words += ["--draws", "2", "--parallel", "4", "--leave-out", "0.5"]
    picture = tmp_path / "frontier.svg"
    assert app.run_command([*words, "--frontier", str(picture), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["table"], row["rule"]) for row in rows] == [
        (table, rule) for table in ("one", "$two") for rule in RULES
    ]
    for row in rows:
        assert (row["candidates"], row["parallel"], row["prior"]) == (20, 4, [])
        assert len(row["curve"]) == 200
        assert {"pretrain_fraction", "wall_fraction", "reserved_fraction"} <= row.keys()
    ET.fromstring(picture.read_text(encoding="utf-8"))
    assert pq.read_table(tmp_path / "frontier.parquet").schema.names == SCHEMA.names
    before = picture.read_bytes()
    assert app.run_command([*words, "--frontier", str(picture), "--csv"]) == 0
    assert picture.read_bytes() == before
    assert '""' not in capsys.readouterr().out.splitlines()[0]


def test_a_picture_that_cannot_be_written_is_a_sentence_before_the_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.parquet"
    write(hump(20), table, about={})
    before = table.read_bytes()
    words = ["replay", str(table), "--rules", "asha", "--orders", "1", "--draws", "0"]
    assert app.run_command([*words, "--frontier", str(tmp_path / "t.svg")]) == 2
    assert "t.parquet is a table. Give --frontier another name." in capsys.readouterr().err
    assert table.read_bytes() == before
    assert app.run_command([*words, "--frontier", str(tmp_path / "t.gif")]) == 2
    assert "does not end in .svg, .png or .pdf" in capsys.readouterr().err
    rows = str(tmp_path / "rows.parquet")
    assert app.run_command([*words, "-o", rows, "--frontier", str(tmp_path / "rows.svg")]) == 2
    assert "-o and --frontier both write" in capsys.readouterr().err
    nowhere = tmp_path / "nowhere" / "f.svg"
    assert app.run_command([*words, "--frontier", str(nowhere)]) == 2
    assert "cannot be written" in capsys.readouterr().err
