"""What a cell of a foreign table means, and which cells are refused."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sweep.core.errors import DataError, StudyWarning
from sweep.replay.cells import Reading, read_column, shares
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_rows import of_table

ALPHAS = ["1.0", "1.5", "2.0"]


def values(*cells: Any, comma: bool = True) -> list[float | None]:
    column = read_column("x", cells, decimal_comma=comma)
    assert column.bad == []
    return column.values


def accuracies(*cells: Any, **reading: Any) -> list[float | None]:
    return [c.accuracy for c in table({"accuracy": list(cells)}, **reading).candidates]


def table(columns: dict[str, list[Any]], **reading: Any) -> Landscape:
    rows = len(next(iter(columns.values())))
    full = {"trial_id": [f"t{n}" for n in range(rows)], "alpha": [1.0 + n for n in range(rows)]}
    return of_table("mine", pa.table(full | columns), reading=Reading(**reading))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0.71", 0.71),
        (" 1e-3 ", 0.001),
        (".5", 0.5),
        ("-2", -2.0),
        ("0,71", 0.71),
        ("0.71 ± 0.01", 0.71),
        ("0.71 +/- 0.01", 0.71),
        ("0.71 (0.01)", 0.71),
        ("inf", float("inf")),
        ("", None),
        ("NaN", None),
        ("n/a", None),
        (None, None),
        (3, 3.0),
    ],
)
def test_a_cell_whose_meaning_is_certain_is_read(cell: Any, value: float | None) -> None:
    assert values(cell) == [value]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("crashed", "it is not a number"),
        ("0.5 0.6", "it is not a number"),
        ("1,024", "its comma may be a decimal point or part the thousands"),
        (True, "it is a truth value"),
    ],
)
def test_a_cell_whose_meaning_is_not_certain_is_bad(cell: Any, why: str) -> None:
    (bad,) = read_column("x", [1.0, cell], decimal_comma=True).bad
    assert (bad.row, bad.column, bad.value) == (2, "x", str(cell))
    assert why in bad.why


def test_another_cell_shows_that_the_comma_is_a_decimal_point() -> None:
    assert values("1,024", "0,5") == [1.024, 0.5]


def test_where_commas_part_the_columns_a_comma_is_no_decimal_point() -> None:
    (bad,) = read_column("x", ["0,71"], decimal_comma=False).bad
    assert "commas part the columns" in bad.why


def test_accuracies_in_percent_become_shares_of_one() -> None:
    assert accuracies("71.2%", "60 %", "50 ± 1 %") == pytest.approx([0.712, 0.6, 0.5])
    assert accuracies(71.2, 60.0, 50.0) == pytest.approx([0.712, 0.6, 0.5])
    assert accuracies(0.9, 60.0, 50.0, unit="percent") == pytest.approx([0.009, 0.6, 0.5])
    assert accuracies(0.9, 0.6, unit="fraction") == [0.9, 0.6]


@pytest.mark.parametrize("cells", [["71.2%", "0.6", "0.5"], [71.2, 0.6, 0.5]])
def test_fractions_and_percents_in_one_column_are_refused(cells: list[Any]) -> None:
    with pytest.raises(DataError, match=r"mixes fractions and percents: 71\.2%? in row 1, and 0.6"):
        accuracies(*cells)


def test_a_unit_that_the_cells_contradict_is_refused() -> None:
    with pytest.raises(DataError, match=r"Row 1 of accuracy is 71\.2%, but --unit fraction"):
        accuracies("71.2%", "0.6", unit="fraction")
    with pytest.raises(DataError, match=r"Row 1 has the accuracy 71\.2, but accuracies lie"):
        accuracies(71.2, 0.6, unit="fraction")


def test_each_accuracy_has_its_own_unit() -> None:
    one, two = table({"accuracy": [71.0, 60.0], "test_accuracy": [0.7, 0.6]}).candidates
    assert (one.accuracy, one.test_accuracy) == (0.71, 0.7)
    assert (two.accuracy, two.test_accuracy) == (0.6, 0.6)


@pytest.mark.parametrize("column", ["alpha", "accuracy", "lr"])
def test_a_bad_cell_is_named_and_no_column_vanishes(column: str) -> None:
    columns: dict[str, list[Any]] = {
        "accuracy": ["0.5", "0.6", "0.7"],
        "lr": ["0.1", "0.2", "0.3"],
        "alpha": ALPHAS,
    }
    columns[column] = [columns[column][0], "crashed", columns[column][2]]
    with pytest.raises(
        DataError, match=rf"mine: row 2, column {column}: 'crashed', it is not a number\. .*--skip"
    ):
        table(columns)
    with pytest.warns(StudyWarning, match=r"1 of 3 rows are left out, .*: rows 2\."):
        found = table(columns, skip_bad=True)
    assert [c.trial_id for c in found.candidates] == ["t0", "t2"]
    assert [c.point["lr"] for c in found.candidates] == [0.1, 0.3]


def test_columns_of_texts_stay_names_and_an_axis_of_texts_that_are_numbers_is_one() -> None:
    columns: dict[str, list[Any]] = {
        "accuracy": [0.5, 0.6, 0.7],
        "lr": ["1e-3", "0.1", ""],
        "flip": ["true", "False", "true"],
        "kind": ["a", "b", "a"],
    }
    one, two, three = table(columns).candidates
    assert one.point == {"lr": 0.001}
    assert three.point == {}
    assert two.names == {"flip": False, "kind": "b"}


def test_texts_that_differ_in_every_row_are_listed_and_not_used() -> None:
    columns: dict[str, list[Any]] = {"accuracy": [0.5, 0.6, 0.7], "notes": ["x", "y", "z"]}
    with pytest.warns(StudyWarning, match=r"the text differs in every row: notes\."):
        found = table(columns)
    assert all(c.names == {} for c in found.candidates)


def test_a_named_column_may_hold_names_but_no_mixture() -> None:
    data = {
        "trial_id": ["a", "b", "c"],
        "accuracy": [0.5, 0.6, 0.7],
        "alpha": ALPHAS,
        "algo": ["a", "b", "a"],
    }
    found = of_table("mine", pa.table(data), columns={"method.name": "algo"})
    assert found.candidates[0].names == {"method.name": "a"}
    with pytest.raises(DataError, match=r"row 2, column rate: 'high'"):
        of_table("mine", pa.table(data | {"r": ["0.1", "high", "low"]}), columns={"rate": "r"})


def test_percent_signs_on_some_cells_of_an_axis_are_refused() -> None:
    assert (
        table({"accuracy": [0.5, 0.6], "crop": ["20%", "50%"]}).candidates[1].point["crop"] == 0.5
    )
    with pytest.raises(
        DataError, match=r"crop has a percent sign in row 1 \(20%\) and none in row"
    ):
        table({"accuracy": [0.5, 0.6], "crop": ["20%", "0.5"]})


def test_empty_accuracies_stay_empty() -> None:
    column = read_column("accuracy", ["", "0.5", None], decimal_comma=True)
    assert shares("accuracy", column, None) == [None, 0.5, None]
