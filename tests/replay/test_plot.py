from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sweep.core.errors import DataError, UserError
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_rows import of_table
from sweep.replay.plot import draw, write
from sweep.replay.statistics import correlations

GRID = [(d, lambd, seed) for d in (64, 256, 1024) for lambd in (0.001, 0.1) for seed in (0, 1)]


def table(columns: dict[str, list[Any]], *, count: int = 12, name: str = "mine") -> Landscape:
    """Models whose accuracy falls as alpha grows, in percent of 5,000 images."""
    known: dict[str, list[Any]] = {
        "alpha": [1.0 + i / 10 for i in range(count)],
        "loss": [float(10 ** (i % 4)) for i in range(count)],
        "accuracy": [60.0 - i for i in range(count)],
        "accuracy_images": [5000] * count,
    }
    return of_table(name, pa.table(known | columns))


def on_grid(**columns: list[Any]) -> Landscape:
    d, lambd, seed = zip(*GRID, strict=True)
    return table({"d": [*d], "lambd": [*lambd], "seed": [*seed], **columns})


def drawn(landscape: Landscape, draws: int = 20) -> dict[str, Any]:
    return draw(landscape, correlations(landscape, draws=draws))


def note(spec: dict[str, Any]) -> str:
    return " ".join(spec["title"]["subtitle"])


def panels(spec: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return maps and scatters."""
    above, below = spec["vconcat"]
    return above["hconcat"], below["hconcat"]


def axis(panel: dict[str, Any], channel: str) -> str:
    title: str = panel["encoding"][channel]["title"]
    return title


def test_equal_tables_give_equal_files(tmp_path: Path) -> None:
    landscape = on_grid()
    found = correlations(landscape, draws=20)
    write(landscape, found, tmp_path / "one.svg")
    write(landscape, found, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.svg", "two.svg"]


def test_the_ending_decides_the_form(tmp_path: Path) -> None:
    landscape = table({})
    write(landscape, correlations(landscape, draws=2), tmp_path / "a.PDF")
    assert (tmp_path / "a.PDF").read_bytes().startswith(b"%PDF")


def test_text_from_files_is_shown_as_it_is(tmp_path: Path) -> None:
    odd = "$\\frac{$ --> <b>\n& [0].x '"  # neither mathematics, nor mark-up, nor an expression
    columns: dict[str, list[Any]] = {
        odd: [1, 2, 3, 4, 5, 6] * 2,
        "lambd": [0.1] * 6 + [0.2] * 6,
        f"2{odd}": [*range(12)],
    }
    landscape = table(columns, name=odd)
    path = tmp_path / "odd.svg"
    write(landscape, correlations(landscape, draws=2), path)
    text = "".join(ET.fromstring(path.read_text(encoding="utf-8")).itertext())
    assert "accuracy over $⧵frac{$ --> <b>⧵n& [0].x ' and lambda" in text


def test_a_grid_becomes_dots_of_means_over_seeds() -> None:
    spec = drawn(on_grid())
    means = {(row["x"], row["y"]): row["accuracy"] for row in spec["datasets"]["maps"]}
    assert means == pytest.approx(
        {(64, 0.001): 0.595, (64, 0.1): 0.575, (256, 0.001): 0.555, (256, 0.1): 0.535,
         (1024, 0.001): 0.515, (1024, 0.1): 0.495}
    )  # fmt: skip
    maps, _ = panels(spec)
    assert maps[0]["encoding"]["x"]["scale"]["type"] == "log"
    assert maps[0]["encoding"]["x"]["axis"]["values"] == [64, 256, 1024]
    assert "Dots on the maps are means over seed." in note(spec)


def test_models_of_different_points_are_dots_of_their_own() -> None:
    lambd = [0.001 * 1.5**i for i in range(12)]
    spec = drawn(table({"d": [64, 256, 1024] * 4, "lambd": lambd}))
    assert [row["y"] for row in spec["datasets"]["maps"]] == lambd
    assert "means" not in note(spec)


def test_without_d_and_lambda_the_first_two_fields_that_vary_are_drawn() -> None:
    same, seed, width = [1] * 12, list(range(12)), [1, 2, 3] * 4
    columns = {"same": same, "seed": seed, "d": [8, 16] * 6, "lambd": same, "width": width}
    columns["depth"] = width[::-1]
    maps, _ = panels(drawn(table(columns)))
    assert axis(maps[1], "x").startswith("d (dimensions")
    assert axis(maps[1], "y").startswith("width of the encoder")


def test_models_without_one_of_the_fields_are_counted_in_the_note() -> None:
    columns: dict[str, list[Any]] = {"d": [16] * 11 + [32], "trial_id": [*"abcdefghijkl"]}
    columns["lambd"] = [0.1] * 6 + [0.2] * 5 + [None]
    assert "Not on the maps, without d or lambda: 1." in note(drawn(table(columns)))


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"width": list(range(1, 13)), "seed": [0, 1] * 6}, "width of the encoder (channels)"),
        ({}, "row"),
    ],
)
def test_one_field_or_none_leaves_a_number_over_it(
    columns: dict[str, list[Any]], label: str
) -> None:
    spec = drawn(table(columns))
    maps, _ = panels(spec)
    assert axis(maps[0], "x") == label
    assert axis(maps[0], "y") == "validation accuracy (%)"
    accuracies = [row["accuracy"] for row in spec["datasets"]["maps"]]
    assert accuracies == pytest.approx([0.6 - i / 100 for i in range(12)])


def test_one_candidate_is_drawn_and_has_no_correlation(tmp_path: Path) -> None:
    landscape = table({"d": [16], "lambd": [0.1]}, count=1)
    _, scatters = panels(drawn(landscape))
    assert scatters[0]["title"]["text"] == "no correlation: fewer than 3 models"
    write(landscape, correlations(landscape, draws=2), tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_scatter_says_how_far_its_criterion_goes_with_accuracy() -> None:
    landscape = on_grid(loss=[3.0] * 12)
    row = {r["criterion"]: r for r in correlations(landscape, draws=50).to_pylist()}["alpha"]
    _, scatters = panels(drawn(landscape, draws=50))
    assert [scatter["title"]["text"] for scatter in scatters] == [
        f"Spearman -1.00, 95 % interval {row['lo']:.2f} to {row['hi']:.2f}",
        "no correlation: all values are equal",
        "no rankme known",
    ]


def test_bars_are_one_standard_error_where_the_images_are_known() -> None:
    spec = drawn(table({"accuracy_images": [2400, *[None] * 11]}))
    bars = [row for row in spec["datasets"]["trials"] if "accuracy_lo" in row]
    assert [(bar["accuracy_lo"], bar["accuracy_hi"]) for bar in bars] == [
        pytest.approx((0.59, 0.61))  # sqrt(0.6 * 0.4 / 2400) is a point
    ]
    assert "Bars" in note(spec)
    assert "Bars" not in note(drawn(table({"accuracy_images": [None] * 12})))


def test_collapsed_models_are_crosses_and_counted() -> None:
    alpha = [None, None, *[1.0 + i / 10 for i in range(10)]]
    accuracy = [None, 50.0, *[60.0 - i for i in range(10)]]
    spec = drawn(on_grid(alpha=alpha, accuracy=accuracy))
    assert sum(row["broken"] for row in spec["datasets"]["trials"]) == 2
    assert "Models: 12, probed: 11, collapsed or diverged: 2." in note(spec)
    assert "Crosses: collapsed or diverged." in note(spec)


def test_what_cannot_be_drawn_gets_a_sentence(tmp_path: Path) -> None:
    landscape = table({}, count=3)
    with pytest.raises(UserError, match=r"x\.gif does not end in \.svg, \.png or \.pdf"):
        write(landscape, correlations(landscape, draws=2), tmp_path / "x.gif")
    nobody = table({"accuracy": [None] * 3}, count=3)
    with pytest.raises(DataError, match="mine has no candidate that was probed"):
        write(nobody, correlations(nobody, draws=2), tmp_path / "x.svg")
    assert list(tmp_path.iterdir()) == []
