from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.figure import Figure

from sweep.core.errors import DataError, UserError
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_rows import of_table
from sweep.replay.plot import draw, write
from sweep.replay.statistics import correlations

GRID = [(d, lambd, seed) for d in (64, 256, 1024) for lambd in (0.001, 0.1) for seed in (0, 1)]
ENDS = "on an edge where a number is not known"


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


def drawn(landscape: Landscape, draws: int = 20) -> Figure:
    return draw(landscape, correlations(landscape, draws=draws))


def panels(figure: Figure) -> tuple[list[Axes], list[Axes]]:
    """Return maps and scatters, without the colour bars."""
    above, below = figure.subfigs
    return [axes for axes in above.axes if axes.get_label() != "<colorbar>"], below.axes


def dots(axes: Axes) -> npt.NDArray[np.float64]:
    """Return where the dots of a panel lie, [n, 2]."""
    (found,) = (c for c in axes.collections if isinstance(c, PathCollection))
    return np.ma.getdata(found.get_offsets())


def crosses(axes: Axes) -> int:
    lines = [np.asarray(line.get_xydata()) for line in axes.lines]
    return sum(int((~np.isnan(line).any(1)).sum()) for line in lines)


def test_equal_tables_give_equal_files_whatever_a_person_has_set(tmp_path: Path) -> None:
    landscape = on_grid()
    found = correlations(landscape, draws=20)
    write(landscape, found, tmp_path / "one.svg")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 20}):
        write(landscape, found, tmp_path / "two.svg")
        assert matplotlib.rcParams["font.size"] == 20
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.svg", "two.svg"]


def test_the_ending_decides_the_form(tmp_path: Path) -> None:
    landscape = table({})
    write(landscape, correlations(landscape, draws=2), tmp_path / "a.PDF")
    assert (tmp_path / "a.PDF").read_bytes().startswith(b"%PDF")


def test_text_from_files_is_shown_as_it_is(tmp_path: Path) -> None:
    odd = "$\\frac{$ --> <b>\n&"  # neither mathematics nor mark-up
    columns: dict[str, list[Any]] = {
        odd: [1, 2, 3, 4, 5, 6] * 2,
        "lambd": [0.1] * 6 + [0.2] * 6,
        f"2{odd}": [*range(12)],
    }
    landscape = table(columns, name=odd)
    path = tmp_path / "odd.svg"
    write(landscape, correlations(landscape, draws=2), path)
    ET.fromstring(path.read_text(encoding="utf-8"))
    maps, _ = panels(drawn(landscape))
    assert maps[0].get_xlabel() == odd.replace("\n", "\\n")
    assert maps[0].get_ylabel() == "lambda"


def test_a_grid_becomes_cells_of_means_over_seeds_in_percent() -> None:
    figure = drawn(on_grid())
    maps, _ = panels(figure)
    (mesh,) = (c for c in maps[0].collections if isinstance(c, QuadMesh))
    assert np.asarray(mesh.get_array()) == pytest.approx(
        np.array([[59.5, 55.5, 51.5], [57.5, 53.5, 49.5]])  # rows are lambdas, ascending
    )
    assert [text.get_text() for text in maps[0].get_xticklabels()] == ["64", "256", "1024"]
    assert [text.get_text() for text in maps[0].get_yticklabels()] == ["0.001", "0.1"]
    assert maps[0].get_xscale() == "log"
    assert "Cells are means over seed." in figure.get_supxlabel()
    corners = np.asarray(mesh.get_coordinates())
    assert corners[0, :, 0] == pytest.approx([32, 128, 512, 2048])


def test_random_draws_become_dots() -> None:
    lambd = [0.001 * 1.5**i for i in range(12)]
    maps, _ = panels(drawn(table({"d": [64, 256, 1024] * 4, "lambd": lambd})))
    assert not any(isinstance(c, QuadMesh) for c in maps[0].collections)
    assert dots(maps[0]) == pytest.approx(np.array([[64, 256, 1024] * 4, lambd]).T)


def test_without_d_and_lambda_the_first_two_fields_that_vary_are_drawn() -> None:
    same, seed, width = [1] * 12, list(range(12)), [1, 2, 3] * 4
    columns = {"same": same, "seed": seed, "d": [8, 16] * 6, "lambd": same, "width": width}
    columns["depth"] = width[::-1]
    maps, _ = panels(drawn(table(columns)))
    assert (maps[1].get_xlabel(), maps[1].get_ylabel()) == ("d (projector dimensions)", "width")


def test_models_without_one_of_the_fields_are_counted_in_the_note() -> None:
    columns: dict[str, list[Any]] = {"d": [16] * 11 + [32], "trial_id": [*"abcdefghijkl"]}
    columns["lambd"] = [0.1] * 6 + [0.2] * 5 + [None]
    figure = drawn(table(columns))
    assert "Not on the maps, without d or lambda: 1." in figure.get_supxlabel()
    assert np.isfinite(dots(panels(figure)[0][0])).all(1).sum() == 11


@pytest.mark.parametrize(
    ("columns", "label"),
    [({"width": list(range(1, 13)), "seed": [0, 1] * 6}, "width"), ({}, "the table's rows")],
)
def test_one_field_or_none_leaves_a_number_over_it(
    columns: dict[str, list[Any]], label: str
) -> None:
    maps, _ = panels(drawn(table(columns)))
    assert maps[0].get_xlabel() == label
    assert dots(maps[0]) == pytest.approx(np.array([[i + 1, 60 - i] for i in range(12)]))


def test_one_candidate_is_drawn_and_has_no_correlation() -> None:
    maps, scatters = panels(drawn(table({"d": [16], "lambd": [0.1]}, count=1)))
    assert dots(maps[0]) == pytest.approx(np.array([[1, 60]]))
    assert scatters[0].get_title() == "no correlation: fewer than 3 models"
    assert dots(scatters[0]) == pytest.approx(np.array([[1, 60]]))


def test_a_scatter_says_how_far_its_criterion_goes_with_accuracy() -> None:
    landscape = on_grid(loss=[3.0] * 12)
    row = {r["criterion"]: r for r in correlations(landscape, draws=50).to_pylist()}["alpha"]
    _, scatters = panels(drawn(landscape, draws=50))
    assert scatters[0].get_title() == (
        f"Spearman -1.00, 95 % interval {row['lo']:.2f} to {row['hi']:.2f}"
    )
    assert scatters[1].get_title() == "no correlation: all values are equal"
    assert [text.get_text() for text in scatters[2].texts] == ["no RankMe known"]


def test_bars_are_one_standard_error_where_the_images_are_known() -> None:
    figure = drawn(table({"accuracy_images": [2400, *[None] * 11]}))
    _, scatters = panels(figure)
    (bars,) = (c for c in scatters[0].collections if isinstance(c, LineCollection))
    known = [np.asarray(bar) for bar in bars.get_segments() if np.asarray(bar).size]
    assert len(known) == 1
    assert known[0][:, 1] == pytest.approx([59, 61])  # sqrt(0.6 * 0.4 / 2400) is a point
    assert "Bars" in figure.get_supxlabel()
    assert "Bars" not in drawn(table({"accuracy_images": [None] * 12})).get_supxlabel()


def test_collapsed_models_are_marked_and_counted() -> None:
    alpha = [None, None, *[1.0 + i / 10 for i in range(10)]]
    accuracy = [None, 50.0, *[60.0 - i for i in range(10)]]
    figure = drawn(on_grid(alpha=alpha, accuracy=accuracy))
    maps, scatters = panels(figure)
    assert crosses(maps[0]) == crosses(maps[1]) == 2
    assert crosses(scatters[0]) == 1  # its accuracy is known, its alpha is not
    assert crosses(scatters[1]) == 2
    assert f"Models: 12, probed: 11, collapsed or diverged: 2 (crosses, {ENDS})" in (
        figure.get_supxlabel().replace("\n", " ")
    )


def test_what_cannot_be_drawn_gets_a_sentence(tmp_path: Path) -> None:
    landscape = table({}, count=3)
    with pytest.raises(UserError, match=r"x\.gif does not end in \.svg, \.png or \.pdf"):
        write(landscape, correlations(landscape, draws=2), tmp_path / "x.gif")
    nobody = table({"accuracy": [None] * 3}, count=3)
    with pytest.raises(DataError, match="mine has no candidate that was probed"):
        write(nobody, correlations(nobody, draws=2), tmp_path / "x.svg")
    assert list(tmp_path.iterdir()) == []
