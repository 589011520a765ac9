from __future__ import annotations

import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from sweep.replay.landscape_rows import of_table
from sweep.replay.statistics import cells, correlations, pivot, varied
from tests.landscapes import hump


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


def test_a_pivot_is_over_the_first_two_fields_that_vary() -> None:
    columns = {"tau": [0.9, 0.99, 0.99], "width": [32, 32, 64], "seed": [0, 1, 0]}
    columns |= {"alpha": [1.0, 1.2, 2.0], "accuracy": [0.2, 0.4, 0.5]}
    over = pivot(of_table("m", pa.table(columns)), "alpha")
    assert over is not None
    assert over.to_pylist() == [
        {"width": 32.0, "tau=0.9": 1.0, "tau=0.99": 1.2},
        {"width": 64.0, "tau=0.9": None, "tau=0.99": 2.0},
    ]


def test_cells_are_means_over_what_else_varies_and_nan_where_nothing_is_known() -> None:
    point = {"width": [1, 1, 2], "epochs": [5, 5, 5], "seed": [0, 1, 0]}
    seen = {"alpha": [1.0, 1.5, None], "accuracy": [0.2, 0.4, 0.5]}
    landscape = of_table("m", pa.table({**point, **seen}))
    assert varied(landscape) == ["width", "seed"]
    found = cells(landscape, "alpha", "width", "epochs")
    assert found == pytest.approx({(1, 5): 1.25, (2, 5): float("nan")}, nan_ok=True)


def test_a_correlation_is_spearmans_with_ties_and_lies_in_its_interval() -> None:
    alpha = [1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0, 5.0, 6.0, 7.0]
    accuracy = [0.1, 0.4, 0.2, 0.4, 0.3, 0.6, 0.5, 0.4, 0.9, 0.7]
    table = of_table("m", pa.table({"alpha": alpha, "accuracy": accuracy}))
    (row,) = correlations(table, draws=500).to_pylist()
    assert row["spearman"] == pytest.approx(spearmanr(alpha, accuracy).statistic)
    assert -1 <= row["lo"] < row["spearman"] < row["hi"] <= 1
    assert correlations(table, draws=500).to_pylist() == [row]


def test_draws_without_a_correlation_do_not_count() -> None:
    """Of five candidates, of which four have one alpha, a third of the draws are constant."""
    table = pa.table({"alpha": [1.0, 1.0, 1.0, 1.0, 2.0], "accuracy": [0.1, 0.2, 0.3, 0.4, 0.5]})
    (row,) = correlations(of_table("m", table)).to_pylist()
    assert row["lo"] <= row["spearman"] <= row["hi"]
