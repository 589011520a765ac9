"""What a probe measures beside the accuracy: in the table, and as what a study maximises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.cli.summary import best_trials, of_study
from sweep.config.study import StudyConfig
from sweep.core.codec import encode
from sweep.core.events import CandidateAdded, Event, Observed, StudyBegan
from sweep.core.history import History
from sweep.core.outcome import outcome
from sweep.core.records import Measure, Observation
from sweep.log.study_folder import EVENTS
from sweep.storage.location import locate
from sweep.tables.results import Results

TRIALS = {"often": (0.9, 0.5), "each": (0.8, 0.7), "near": (0.8, 0.69)}
"""Accuracy and balanced accuracy of three models of two classes."""


def seen(accuracy: float, balanced: float, maximised: str | None) -> Observation:
    detail: dict[str, Any] = {
        "images": 100,
        "interval": [accuracy - 0.06, accuracy + 0.06],
        "further": {"balanced_accuracy": [balanced, balanced - 0.05, balanced + 0.05]},
        "chance": 0.9,
        "class_recall": {"cat": 1.0, "dog": 2 * balanced - 1},
    }
    if maximised is not None:
        detail["maximised"] = maximised
    measures = (Measure(name="accuracy", value=accuracy, detail=detail),)
    return Observation(stage="probed", step=1, measures=measures)


def story(metric: str) -> list[Event]:
    config = StudyConfig.parse({"name": "s", "probe": {"metric": metric}})
    maximised = None if metric == "accuracy" else metric
    events: list[Event] = [
        StudyBegan(
            name="s", config=config.model_dump(mode="json"), config_digest="", data_digest="",
            versions={}, commit=None, created=0.0,
        )
    ]  # fmt: skip
    for index, (trial_id, values) in enumerate(TRIALS.items()):
        events.append(CandidateAdded(trial_id=trial_id, point={"d": 8}, config={}, index=index))
        events.append(Observed(trial_id=trial_id, observation=seen(*values, maximised)))
    return [replace(event, seq=seq) for seq, event in enumerate(events)]


def results(folder: Path, metric: str) -> Results:
    (folder / "s").mkdir()
    (folder / "s" / EVENTS).write_bytes(b"".join(encode(event) for event in story(metric)))
    return Results(locate(folder / "s"))


@pytest.mark.parametrize(
    ("metric", "winner", "ties"),
    [("accuracy", "often", ()), ("balanced_accuracy", "each", ("near",))],
)
def test_the_winner_is_the_best_by_the_metric(
    metric: str, winner: str, ties: tuple[str, ...]
) -> None:
    history = History()
    for event in story(metric):
        history.fold(event)
    found = outcome(history, "")
    assert (found.winner, found.ties) == (winner, ties)
    assert found.interval is not None
    assert found.accuracy == TRIALS[winner][metric == "balanced_accuracy"]


def test_the_table_has_each_measure_with_its_interval(tmp_path: Path) -> None:
    found = results(tmp_path, "balanced_accuracy")
    row = found.trials.to_pylist()[1]
    assert (row["accuracy"], row["accuracy_lo"], row["accuracy_hi"]) == (
        0.8,
        0.74,
        0.8600000000000001,
    )
    names = ("balanced_accuracy", "balanced_accuracy_lo", "balanced_accuracy_hi")
    assert [row[name] for name in names] == pytest.approx([0.7, 0.65, 0.75])
    assert row["macro_f1"] is None
    assert row["chance"] == 0.9
    assert json.loads(row["class_recall"])["dog"] == pytest.approx(0.4)


def test_a_summary_names_the_metric_and_shows_unequal_classes(tmp_path: Path) -> None:
    found = results(tmp_path, "balanced_accuracy")
    history = History()
    for event in story("balanced_accuracy"):
        history.fold(event)
    best = best_trials(found, 3)
    assert best["trial_id"].to_pylist() == ["each", "near", "often"]
    assert "balanced_accuracy" in best.column_names
    lines = "\n".join(of_study(found, outcome(history, "")))
    assert "winner  each: balanced accuracy 70.00% on validation" in lines
