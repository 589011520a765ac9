"""What a report reads of a study, its pictures, its page, and what is written."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.core.errors import UserError
from sweep.report.cautions import caution
from sweep.report.fields import field_of, log_axis
from sweep.report.page import page
from sweep.report.pictures import PICTURES, pictures
from sweep.report.render import complete, image
from sweep.report.response import response
from sweep.report.study import StudyData
from sweep.report.write import write_page, write_pictures
from tests.report.studies import HOSTILE, study


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    return study(tmp_path_factory.mktemp("studies"))


def unpacked(html: str) -> dict[str, object]:
    found = re.search(r"id=data>([^<]*)</script>", html)
    assert found
    data: dict[str, object] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return data


# What is read ------------------------------------------------------------------------


def test_a_study_has_its_rows_its_winner_and_its_failures(made: StudyData) -> None:
    assert len(made.rows) == 24
    assert made.varied == ["d", "lambd", "encoder"]
    assert made.measures[:4] == ["accuracy", "alpha", "alpha_r2", "rankme"]
    winner = made.winner
    assert winner
    assert winner["accuracy"] == max(r["accuracy"] for r in made.rows if r["accuracy"] is not None)
    assert made.chance == pytest.approx(0.1)
    assert made.window == (4, 60)
    assert made.failures["out of memory"][0] == 4
    assert [row["event"] for row in made.story[made.rows[1]["trial_id"]]] == [
        "candidate", "start", "probed at 25%", "stop",
    ]  # fmt: skip


def test_before_its_end_a_study_shows_the_best_model_so_far(tmp_path: Path) -> None:
    running = study(tmp_path, ended=False)
    assert running.winner
    assert running.outcome is None
    assert "has not ended" in caution(running)


def test_the_warning_is_the_most_important_one(made: StudyData) -> None:
    assert caution(replace(made, rows=[dict(row, winner=False) for row in made.rows])).startswith(
        "No model was probed"
    )
    assert "no better than a guess" in caution(replace(made, chance=0.9))
    failed = [dict(row, status="failed") if i % 2 else row for i, row in enumerate(made.rows)]
    assert "trials failed" in caution(replace(made, rows=failed))
    at_an_edge = [dict(row, d=4096 if row["winner"] else row["d"]) for row in made.rows]
    assert "largest d of the space (4096)" in caution(replace(made, rows=at_an_edge))


def test_an_axis_is_logarithmic_where_numbers_span_a_factor_of_ten() -> None:
    assert field_of("lambd", [{"lambd": 0.001}, {"lambd": 1.0}], "varied").log
    assert not field_of("lambd", [{"lambd": 0.5}, {"lambd": 1.0}], "varied").log
    assert not field_of("accuracy", [{"accuracy": 0.01}, {"accuracy": 0.9}], "measure").log
    assert field_of("x", [{"x": "a"}, {"x": 1}], "varied").kind == "name"
    assert log_axis(0.001, 10.0)["values"] == pytest.approx([0.001, 0.01, 0.1, 1, 10])
    assert log_axis(2.0, 60.0)["values"] == pytest.approx([2, 5, 10, 20, 50])


def test_a_response_is_fitted_to_four_probed_models_or_more(made: StudyData) -> None:
    fitted = response(made.rows)
    assert all(row["lo"] <= row["mean"] <= row["hi"] for row in fitted)
    assert [row["alpha"] for row in fitted] == sorted(row["alpha"] for row in fitted)
    few = [row for row in made.rows if row["accuracy"] is not None][:3]
    assert response(few) == []


# Pictures ----------------------------------------------------------------------------


def test_every_picture_holds_a_mark_for_each_trial_that_it_shows(made: StudyData) -> None:
    drawn = pictures([made])
    assert list(drawn) == list(PICTURES)
    assert len(drawn["landscape"].data["trials"]) == 24
    measured = [row for row in made.rows if row["alpha"] is not None]
    assert len(drawn["alpha"].data["trials"]) == len(measured)
    assert {row["trial_id"] for row in drawn["spectra"].data["spectra"]} == {
        row["trial_id"] for row in measured
    }
    assert len({row["id"] for row in drawn["parallel"].data["points"]}) == 24


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn_without_a_browser(made: StudyData, name: str) -> None:
    picture = pictures([made])[name]
    for changes in picture.menus.get("measure", {}).values():
        spec = complete(picture)
        spec["transform"], spec["encoding"]["y"] = changes["transform"], changes["encoding.y"]
        assert b"<svg" in image(spec, "svg")
    svg = image(complete(picture, "dark"), "svg").decode()
    assert svg.startswith("<svg")
    assert "<img" not in svg


def test_equal_studies_give_equal_pictures(made: StudyData) -> None:
    spec = complete(pictures([made])["landscape"])
    assert image(spec, "svg") == image(spec, "svg")


def test_a_study_without_results_has_no_pictures(tmp_path: Path, made: StudyData) -> None:
    empty = replace(
        made, rows=[], curves=[], spectra=[], seconds={}, saved=None, varied=[],
        timeline=type(made.timeline)(),
    )  # fmt: skip
    assert pictures([empty]) == {}


# The page ----------------------------------------------------------------------------


def test_the_policy_allows_the_pages_own_scripts_and_no_request(made: StudyData) -> None:
    html = page([made])
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert found
    policy = found[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.search(r'(src|href)="?(https?:)?//', html.replace("".join(scripts), ""))


def test_hostile_names_and_errors_are_escaped(made: StudyData) -> None:
    html = page([made])
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "<img" not in outside
    assert outside.count("<script") == 1, "the data"
    data = unpacked(html)
    assert "<img" not in json.dumps(data["parts"])
    assert HOSTILE in data["trials"]["encoder"]  # type: ignore[index]


def test_a_page_of_a_thousand_trials_has_at_most_three_megabytes(tmp_path: Path) -> None:
    html = page([study(tmp_path, trials=1000)])
    assert len(html.encode()) < 3e6


def test_two_studies_stand_side_by_side_with_the_keys_that_differ(
    tmp_path: Path, made: StudyData
) -> None:
    parts = unpacked(page([made, study(tmp_path, name="other")]))["parts"]
    assert isinstance(parts, dict)
    assert "2 studies" in parts["header"]
    assert "Winner of other" in parts["cards"]
    assert "<tr class=differs><th scope=row>name</th>" in parts["details"]


# What is written ---------------------------------------------------------------------


def test_a_page_and_its_pictures_are_written(tmp_path: Path, made: StudyData) -> None:
    assert write_page([made], tmp_path / "a.html") == (tmp_path / "a.html").stat().st_size
    files = write_pictures([made], tmp_path / "deep" / "pictures", "png")
    assert [file.stem for file in files] == list(PICTURES)
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_a_page_has_a_name_that_ends_in_html(tmp_path: Path, made: StudyData) -> None:
    with pytest.raises(UserError, match=r"does not end in \.html. Try -o .*a\.html"):
        write_page([made], tmp_path / "a.pdf")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, made: StudyData) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/a\.html cannot be written"):
        write_page([made], tmp_path / "file" / "a.html")
    with pytest.raises(UserError, match="cannot be made"):
        write_pictures([made], tmp_path / "file", "svg")
