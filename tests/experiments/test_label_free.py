"""What a ranking without labels is worth: the sentence of the summary, computed again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.cli.label_free import WORTH

FOLDER = Path(__file__).parents[2] / "experiments" / "landscapes"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    sys.path.insert(0, str(FOLDER))
    module = importlib.import_module("label_free")
    sys.path.remove(str(FOLDER))
    del sys.modules["label_free"]
    return [row for path in sorted(FOLDER.glob("*.parquet")) for row in module.worth(path)]


def test_the_sentence_has_the_numbers_of_the_committed_tables(rows: list[dict[str, Any]]) -> None:
    lost = {(row["table"], row["ranking"]): row["points_below_the_best"] for row in rows}
    tables = sorted({row["table"] for row in rows})
    assert len(tables) == 9
    shown = ("alpha, nearest 1", "RankMe, largest")
    for ranking in shown:
        better = [table for table in tables if lost[table, ranking] < lost[table, "random"]]
        assert len(better) == 3
    assert "three of nine complete tables" in WORTH
    points = [lost[table, ranking] for table in tables for ranking in shown]
    assert f"{min(points):.1f} to {max(points):.0f} points" in " ".join(WORTH.split())


def test_the_correlations_are_those_of_the_landscapes_readme(rows: list[dict[str, Any]]) -> None:
    spearman = {(row["table"], row["ranking"]): row["spearman"] for row in rows}
    assert spearman["cifar10_small", "alpha, largest"] == 0.59
    assert spearman["digits", "RankMe, largest"] == 0.55
