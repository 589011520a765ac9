"""A study that was sent is read back by Optuna's own interface."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from sweep.cli.app import run_command
from sweep.core.errors import UserError
from sweep.exporters.optuna_study import _distribution, _plain, send
from sweep.launch import launch
from sweep.log.study_folder import EVENTS
from sweep.tables.results import Results
from tests.small import small_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    study = small_study("probe.at=[0.5]", rule={"name": "paper", "round": 4, "sync": True})
    folder = tmp_path_factory.mktemp("results")
    launch.run(study, results=folder)
    return Results(folder / study.name)


def read(target: str, name: str = "small") -> optuna.Study:
    storage = target if target.startswith("sqlite") else JournalStorage(JournalFileBackend(target))
    return optuna.load_study(study_name=name, storage=storage)


def facts(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    rows = [(t.user_attrs["trial_id"], t.state, t.value, t.params) for t in trials]
    return sorted(rows, key=lambda row: str(row[0]))


@pytest.mark.parametrize("target", ["sqlite:///{}/a/study.db", "{}/a/study.journal"])
def test_optuna_reads_every_trial_as_it_ended(
    target: str, finished: Results, tmp_path: Path
) -> None:
    place = target.format(tmp_path)
    assert send(finished, place).trials == 6
    study = read(place)
    rows = {row["trial_id"]: row for row in finished.trials.to_pylist()}
    times = {row["trial_id"]: row for row in finished.attempts.to_pylist()}
    for trial in study.trials:
        row = rows[trial.user_attrs["trial_id"]]
        probed = row["status"] == "probed"
        assert trial.state == (TrialState.COMPLETE if probed else TrialState.PRUNED)
        assert trial.params == {"d": row["d"], "lambd": row["lambd"]}
        assert trial.user_attrs["alpha"] == row["alpha"]
        assert trial.user_attrs["reason"] == row["reason"]
        if probed:
            assert trial.value == row["accuracy"]
        assert len(trial.intermediate_values) == 1 + probed
        assert trial.datetime_start is not None
        began = times[row["trial_id"]]["began"].astimezone().replace(tzinfo=None)
        assert abs((trial.datetime_start - began).total_seconds()) < 0.01
    assert finished.outcome is not None
    assert study.best_trial.user_attrs["trial_id"] == finished.outcome.winner
    before = facts(study.trials)
    assert send(finished, place).trials == 6
    assert facts(read(place).trials) == before


def test_a_study_that_is_sent_while_it_runs_comes_to_the_same(
    finished: Results, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    shutil.copytree(str(finished.location), folder)
    shutil.rmtree(folder / "tables")
    events = (folder / EVENTS).read_bytes().splitlines(keepends=True)
    place = f"sqlite:///{tmp_path}/study.db"
    running = 0
    for part in range(1, 9):
        (folder / EVENTS).write_bytes(b"".join(events[: len(events) * part // 8]))
        send(Results(folder), place)
        running += sum(trial.state == TrialState.RUNNING for trial in read(place).trials)
    assert running
    send(finished, f"sqlite:///{tmp_path}/whole.db")
    assert facts(read(place).trials) == facts(read(f"sqlite:///{tmp_path}/whole.db").trials)


def test_a_target_that_cannot_be_is_a_sentence(finished: Results, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(UserError, match="cannot be written as a storage of Optuna"):
        send(finished, f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(UserError, match="is no target for optuna"):
        send(finished, "mysql://somewhere/db")
    optuna.create_study(storage=f"sqlite:///{tmp_path}/o.db", study_name="small").add_trial(
        optuna.create_trial(value=1.0)
    )
    with pytest.raises(UserError, match="another study named small"):
        send(finished, f"sqlite:///{tmp_path}/o.db")


def test_a_study_of_another_metric_has_its_values(tmp_path: Path) -> None:
    study = small_study(
        "probe.metric=balanced_accuracy",
        "probe.at=[0.5]",
        "train.epochs=2",
        space={"axes": {"d": [8, 16]}},
        rule={"name": "all"},
    )
    launch.run(study, results=tmp_path)
    results = Results(tmp_path / study.name)
    send(results, f"sqlite:///{tmp_path}/study.db")
    rows = {row["trial_id"]: row for row in results.trials.to_pylist()}
    for trial in read(f"sqlite:///{tmp_path}/study.db").trials:
        wanted = rows[trial.user_attrs["trial_id"]]["balanced_accuracy"]
        assert trial.value == wanted
        assert len(trial.intermediate_values) == 2
        assert trial.intermediate_values[max(trial.intermediate_values)] == wanted


def test_a_space_that_was_enlarged_is_widened_or_a_sentence() -> None:
    narrow = _distribution("d", [1, 10], None)
    assert _distribution("d", [1, 10, 1000], narrow) == FloatDistribution(1, 1000)
    assert _distribution("d", [1, 1000], None) == FloatDistribution(1, 1000, log=True)
    names = _distribution("flip", ["a", "b"], None)
    assert _distribution("flip", ["b", "a", None], names) == names
    with pytest.raises(UserError, match="flip with other values"):
        _distribution("flip", ["a", "b", "c"], names)


def test_a_list_is_a_text() -> None:
    assert _plain([1, 2]) == "[1, 2]"
    assert [_plain(value) for value in (None, True, 1, 0.5, "x")] == [None, True, 1, 0.5, "x"]


def test_the_command_says_how_to_open_it(
    finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = ["send", str(finished.location), "--to", "optuna"]
    assert run_command(words) == 0
    out = capsys.readouterr().out
    assert "Sent 6 trials to sqlite:///exports/small/optuna.db." in out
    assert "optuna-dashboard sqlite:///exports/small/optuna.db" in out
    assert run_command([*words[:-1], "optima"]) == 2
    assert "optuna" in capsys.readouterr().err
