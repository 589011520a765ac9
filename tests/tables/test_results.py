"""A study's results in a notebook: as a table, and for pandas and polars."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from sweep.core.errors import StudyError, UserError
from sweep.launch import launch
from sweep.tables.results import Results
from tests.small import small_study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("results")
    study = small_study("train.epochs=1", space={"axes": {"d": [8, 16]}}, rule={"name": "all"})
    launch.run(study, results=folder)
    return Results(folder / study.name)


def test_pandas_gets_every_column_of_a_table(results: Results) -> None:
    frame = results.to_pandas()
    assert list(frame.columns) == results.trials.column_names
    assert frame["accuracy"].tolist() == results.trials["accuracy"].to_pylist()
    assert len(results.to_pandas("verdicts")) == results.verdicts.num_rows
    with pytest.raises(StudyError, match="trials"):
        results.to_pandas("trails")


def test_a_library_that_is_missing_is_a_sentence(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UserError, match="pip install polars"):
        results.to_polars()


def test_a_notebook_shows_the_best_trials_first_and_names_as_text(
    results: Results, tmp_path: Path
) -> None:
    folder = tmp_path / "<b>x"
    shutil.copytree(str(results.location), folder)
    shown = Results(folder)._repr_html_()
    assert "&lt;b&gt;x" in shown
    assert "finished, 2 trials" in shown
    best, other = sorted(results.trials.to_pylist(), key=lambda row: -row["accuracy"])
    assert 0 < shown.index(best["trial_id"]) < shown.index(other["trial_id"])
    assert shown.count("<tr>") == 3
