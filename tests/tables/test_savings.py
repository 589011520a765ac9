"""What a rule spent on pretraining, and what all models would take."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.cli.summary import saved
from sweep.core.events import StudyBegan
from sweep.core.history import History
from sweep.core.records import Cost, Decision, Measure, Observation, Stage, Verdict
from sweep.log.study_folder import open_log
from sweep.storage.location import locate
from sweep.study import Study
from sweep.tables.results import Results
from sweep.tables.savings import pretraining

ALPHA = (Measure(name="alpha", value=1.0),)


def rule(history: History) -> Decision:
    """Stop the trials that were looked at during training, and then those that never began."""
    rows = [history.arrived] if history.arrived is not None else history.waiting
    if history.closed:
        rows = list(range(len(history)))
    verdicts = [
        Verdict(trial_id=history.trial_ids[row], action="stop", reason="enough")
        for row in rows
        if not history.state_of(history.trial_ids[row]).final
    ]
    return Decision(zone=history.zone, verdicts=tuple(verdicts))


def study(
    folder: Path, trained: dict[str, float], begun: int, seconds: dict[str, float]
) -> Results:
    """Log a study.

    Args:
        folder: of the study.
        trained: trial_id -> fraction of its training.
        begun: how many of the trials begin, in order.
        seconds: trial_id -> device-seconds of its whole training; a quarter as many are measured.
    """
    folder.mkdir()
    with open_log(locate(folder)) as log:
        made = Study(rule=rule, log=log)
        made.record(
            StudyBegan(
                name="s", config={}, config_digest="", data_digest="", created=0.0, commit=None,
                versions={},
            )
        )  # fmt: skip
        for number, trial_id in enumerate(trained):
            made.add(trial_id, {"d": 2.0**number}, {})
        for trial_id in list(trained)[:begun]:
            made.start(trial_id)
            fraction = trained[trial_id]
            spent = seconds[trial_id] * fraction
            cost, measured = (
                Cost(wall_seconds=s, device_seconds=s) for s in (spent, seconds[trial_id] / 4)
            )
            stage: Stage = "trained" if fraction == 1 else "pretrain"
            made.observe(trial_id, Observation(stage=stage, step=5, fraction=fraction, cost=cost))
            made.observe(
                trial_id,
                Observation(
                    stage="measured", step=5, fraction=fraction, measures=ALPHA, cost=measured
                ),
            )
        made.idle()
    return Results(folder)


TRAINED = {"a": 1.0, "b": 0.25, "c": 0.5, "d": 0.5, "e": 0.5, "f": 0.5}


def test_a_training_that_was_cut_short_counts_as_a_whole_one(tmp_path: Path) -> None:
    results = study(tmp_path / "s", TRAINED, 6, dict.fromkeys(TRAINED, 8.0))
    cost = pretraining(results)
    assert cost is not None
    assert (cost.spent, cost.whole, cost.models) == (8 + 2 + 4 * 4, 6 * 8, 6)
    assert saved(results) == [
        "saved   pretraining took 26 of about 48 device-seconds that all 6 models would take"
    ]


def test_the_seconds_of_models_that_never_began_follow_from_their_fields(tmp_path: Path) -> None:
    seconds = {name: 3.0 * 2**number for number, name in enumerate(TRAINED)}
    cost = pretraining(study(tmp_path / "s", TRAINED, 4, seconds))
    assert cost is not None
    begun, never = sum(list(seconds.values())[:4]), sum(list(seconds.values())[4:])
    # The prediction is kept within what is known: 24 seconds at most, for each of the two.
    assert begun + 24 < cost.whole <= begun + 2 * 24 < begun + never


def test_with_few_begun_models_the_others_count_as_their_mean(tmp_path: Path) -> None:
    cost = pretraining(study(tmp_path / "s", TRAINED, 2, {"a": 4.0, "b": 8.0}))
    assert cost is not None
    assert cost.whole == pytest.approx(12 + 4 * 6)


def test_there_is_no_saving_where_all_models_are_trained_or_none_is(tmp_path: Path) -> None:
    whole = dict.fromkeys(TRAINED, 1.0)
    results = study(tmp_path / "all", whole, 6, dict.fromkeys(whole, 8.0))
    assert pretraining(results) is None
    assert saved(results) == []
    assert pretraining(study(tmp_path / "none", whole, 0, {})) is None
