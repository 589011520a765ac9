"""A study that maximises another measure than the accuracy, from its training to its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweep.cli.summary import explained, of_study
from sweep.core.errors import ConfigError, StudyWarning
from sweep.export import export
from sweep.launch import launch
from sweep.launch.repeats import plan
from sweep.replay.landscape_files import load
from sweep.replay.verify import verify_study
from sweep.report.study import interval, read
from sweep.tables.query import query
from sweep.tables.results import Results
from tests.small import small_study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished study of digits, which maximises the macro F1."""
    folder = tmp_path_factory.mktemp("results")
    study = small_study("probe.metric=macro_f1", "train.epochs=1", rule={"name": "all"})
    launch.run(study, results=folder, warn=lambda sentence: None)
    return Results(folder / "small")


def test_the_winner_has_the_highest_metric(results: Results) -> None:
    outcome = results.outcome
    assert outcome is not None
    best = max(results.trials.to_pylist(), key=lambda row: row["macro_f1"])
    assert outcome.winner == best["trial_id"]
    assert outcome.accuracy == best["macro_f1"] != best["accuracy"]
    assert outcome.interval == (best["macro_f1_lo"], best["macro_f1_hi"])
    assert any("macro f1" in line for line in of_study(results, outcome))


def test_what_is_told_of_a_trial_has_the_best_metric(results: Results) -> None:
    outcome = results.outcome
    assert outcome is not None
    told = explained(results, results.trials["trial_id"].to_pylist()[0]).to_pylist()
    shares = results.trials["macro_f1"].to_pylist()
    assert {row["best"] for row in told} - {None} <= set(shares)


def test_a_query_a_report_and_repeats_follow_the_metric(results: Results) -> None:
    outcome = results.outcome
    assert outcome is not None
    report = read(results)
    assert (report.metric, interval(report)) == ("macro_f1", outcome.interval)
    sql = "SELECT * FROM trials ORDER BY macro_f1 DESC LIMIT 1"
    row = query([results.location], sql).to_pylist()[0]
    assert row["trial_id"] == outcome.winner
    point = plan(results.location, top=1, seeds=1).space.points[0]
    assert (point["d"], point["lambd"]) == (row["d"], row["lambd"])


def test_an_export_has_the_metric(results: Results, tmp_path: Path) -> None:
    about = export(results, tmp_path / "encoder.safetensors")
    assert 0 < about["measures"]["macro_f1"] <= 1


def test_a_replay_maximises_the_metric_and_says_so(results: Results) -> None:
    with pytest.warns(StudyWarning, match="maximised macro_f1"):
        table = load(results.location.path)
    shares = {row["trial_id"]: row["macro_f1"] for row in results.trials.to_pylist()}
    assert {c.trial_id: c.accuracy for c in table.candidates} == shares
    for row, candidate in zip(results.trials.to_pylist(), table.candidates, strict=True):
        half = (row["macro_f1_hi"] - row["macro_f1_lo"]) / 2
        assert 1.96 * (candidate.accuracy_se or 0.0) == pytest.approx(half, rel=0.05)
    assert verify_study(results.location).difference is None


def test_top_5_accuracy_of_few_classes_is_refused(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(30):
            noise = pixels.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "images" / name / f"{number}.png")
    data = {"path": str(tmp_path / "images")}
    study = small_study("probe.metric=top5_accuracy", "train.batch=16", data=data)
    with pytest.raises(ConfigError, match="2 classes, so that five answers are always right"):
        launch.run(study, results=tmp_path, warn=lambda sentence: None)
    assert not (tmp_path / "small").exists()
