"""The protocol of `experiments/peers`: tables, orders and curves. No peer is played here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from sweep.replay import landscape_files
from sweep.replay.compare import _in_order

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
MODULES = ("tables", "ledger", "report")


@pytest.fixture(scope="module")
def peers() -> Iterator[dict[str, Any]]:
    """The modules, imported as their scripts import each other: by their plain names."""
    sys.path.insert(0, str(EXPERIMENTS / "peers"))
    yield {name: importlib.import_module(name) for name in MODULES}
    sys.path.remove(str(EXPERIMENTS / "peers"))
    for name in MODULES:
        del sys.modules[name]


def table_of(peers: dict[str, Any], **changed: Any) -> Any:
    """Three candidates, looks at 1/4, 1/2 and 1; one second of probe at each look."""
    keys: dict[str, Any] = {
        "name": "small",
        "trial_ids": ("a", "b", "c"),
        "axes": ("d",),
        "values_CA": np.array([[16.0], [64.0], [256.0]]),
        "fractions": (0.25, 0.5, 1.0),
        "accuracy_CL": np.array([[0.2, 0.3, 0.4], [0.3, 0.4, 0.5], [0.4, 0.5, 0.6]]),
        "pretrain_CL": np.array([[2.0, 4.0, 9.0]] * 3),
        "probe_CL": np.ones((3, 3)),
    }
    return peers["tables"].Table(**(keys | changed))


@pytest.mark.parametrize("name", ["cifar10_small", "digits"])
def test_candidates_and_orders_are_those_of_replay(peers: dict[str, Any], name: str) -> None:
    path = EXPERIMENTS / "landscapes" / f"{name}.parquet"
    table, landscape = peers["tables"].read(path), landscape_files.load(path)
    assert list(table.trial_ids) == [c.trial_id for c in landscape.candidates]
    assert table.axes == ("d", "lambd")
    np.testing.assert_array_equal(table.final, landscape.accuracies)
    assert table.pretrain_CL[:, -1].sum() == pytest.approx(landscape.pretrain_seconds)
    assert table.fractions[:-1] == landscape.fractions
    kept = round(0.85 * len(landscape))
    for which in range(3):
        part = _in_order(landscape, np.random.default_rng([0, 0, which]), kept)
        mine = table.in_order(which, leave_out=0.15)
        assert list(mine.trial_ids) == [c.trial_id for c in part.candidates]


def test_a_model_that_broke_has_accuracy_0_and_is_not_the_worst(
    peers: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "broken.parquet"
    rows = [
        {"trial_id": t, "d": d, "fraction": f, "accuracy": a, "pretrain_seconds": s}
        for t, d, f, a, s in [
            ("a", 16, 0.5, 0.3, 2.0),
            ("a", 16, 1.0, 0.4, 4.0),
            ("b", 32, 0.5, None, 1.0),
        ]
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    table = peers["tables"].read(path)
    assert table.accuracy_CL.tolist() == [[0.3, 0.4], [0.0, 0.0]]
    assert table.pretrain_CL.tolist() == [[2.0, 4.0], [1.0, 1.0]]
    assert table.worst == 0.4


def test_looks_become_whole_numbers_and_serve_rungs(peers: dict[str, Any]) -> None:
    assert table_of(peers).resources == (1, 2, 4)
    tenths = table_of(peers, fractions=(0.1, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert tenths.resources == (1, 2, 4, 6, 8, 10)
    assert tenths.rungs(3) == (0, 2, 5)  # resources 1, 3 and 9, served by 1, 4 and 10
    halves = table_of(peers, fractions=(1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0))
    assert halves.resources == (1, 2, 4, 8, 16, 24, 32)
    assert halves.rungs(4) == (0, 2, 4, 6)


def test_wide_fields_are_mapped_in_their_logarithm(peers: dict[str, Any]) -> None:
    np.testing.assert_allclose(table_of(peers).unit()[:, 0], [0, 0.5, 1])
    narrow = table_of(peers, values_CA=np.array([[16.0], [20.0], [32.0]]))
    np.testing.assert_allclose(narrow.unit()[:, 0], [0, 0.25, 1])
    np.testing.assert_allclose(table_of(peers).unit(np.array([[32.0]])), [[0.25]])


def test_the_nearest_candidate_is_taken_once(peers: dict[str, Any]) -> None:
    untried = peers["tables"].Untried(table_of(peers))
    assert [untried.nearest([0.6]), untried.nearest([0.6]), untried.first()] == [1, 2, 0]
    assert len(untried) == 0
    with pytest.raises(IndexError, match="Every candidate has begun"):
        untried.first()


def test_seconds_are_charged_while_a_trial_runs(peers: dict[str, Any]) -> None:
    ledger = peers["ledger"].Ledger(table_of(peers))
    ledger.add(0, 2, 10.0)  # 9 seconds of training, then 1 of probe
    ledger.add(2, 0, 3.0)
    ledger.add(2, 2, 15.0)  # on from 1/4, after a pause from 3 to 7
    row = ledger.row("peer", order=0, workers=2, left_out=0.0)
    assert row.regret == pytest.approx([20, 20, 0, 0])
    assert row.probes == [0, 2, 3, 3]
    # at 10: 10 of the first, 3 of the second before its pause, and 3 after it
    assert row.device_share == pytest.approx([0, 16 / 30, 21 / 30, 21 / 30])
    assert row.pretrain_share == pytest.approx([0, 14 / 27, 18 / 27, 18 / 27])
    assert row.wall_share == pytest.approx([0, 20 / 30, 1, 1])
    with pytest.raises(ValueError, match="past look 1"):
        ledger.add(2, 1, 16.0)


def test_rows_of_other_peers_stay_in_the_file(peers: dict[str, Any], tmp_path: Path) -> None:
    ledger = peers["ledger"].Ledger(table_of(peers))
    ledger.add(1, 2, 10.0)
    path = tmp_path / "played.parquet"
    for peer in ("first", "second", "first"):
        row = ledger.row(peer, order=0, workers=1, left_out=0.0)
        peers["ledger"].write([row], path)
    written = pyarrow.parquet.read_table(path).to_pylist()
    assert [row["peer"] for row in written] == ["second", "first"]


def test_a_mean_curve_is_the_mean_of_steps(peers: dict[str, Any]) -> None:
    rows = [
        {"device_share": [0.0, 0.2, 0.6], "regret": [10.0, 1.0, 0.0]},
        {"device_share": [0.0, 0.4], "regret": [10.0, 0.0]},
    ]
    curve = peers["report"].mean_curve(rows, "device_share", np.array([0.1, 0.2, 0.4, 1.0]))
    np.testing.assert_allclose(curve, [10, 5.5, 0.5, 0])
