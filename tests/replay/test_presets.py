"""Tables that other tools export."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from sweep.core.errors import DataError, StudyWarning
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import load

WANDB = """"Name","State","Notes","User","Tags","Created","Runtime","lambd","alpha","accuracy"
"one","finished","-","me","","2026-01-01T00:00:00.000Z","61","0.1","1.5","0.5"
"two","crashed","-","me","","2026-01-01T00:00:00.000Z","3","0.2","",""
"three","finished","-","me","","2026-01-01T00:00:00.000Z","62","0.3","1.7","0.6"
"""
MLFLOW_PAGE = """Start Time,Duration,Run ID,Name,Source Type,User,Status,lambd,alpha,accuracy
2026-01-01 00:00:00,1.1min,a1,calm-fox,LOCAL,me,FINISHED,0.1,1.5,0.5
2026-01-01 00:00:00,1.2min,a2,shy-cat,LOCAL,me,FAILED,0.2,,
2026-01-01 00:00:00,1.2min,a3,odd-owl,LOCAL,me,FINISHED,0.3,1.7,0.6
"""
MLFLOW_RUNS = """,run_id,status,artifact_uri,metrics.alpha,metrics.accuracy,params.lambd,tags.user
0,a1,FINISHED,./1,1.5,0.5,0.1,me
1,a2,FAILED,./2,,,0.2,me
2,a3,FINISHED,./3,1.7,0.6,0.3,me
"""


def read(folder: Path, text: str, tool: str) -> Landscape:
    (folder / "t.csv").write_text(text)
    with pytest.warns(StudyWarning, match="1 runs did not end well, and are left out"):
        return load(folder / "t.csv", tool=tool)


@pytest.mark.parametrize(
    ("tool", "text", "ids"),
    [
        ("wandb", WANDB, ["one", "three"]),
        ("mlflow", MLFLOW_PAGE, ["a1", "a3"]),
        ("mlflow", MLFLOW_RUNS, ["a1", "a3"]),
    ],
)
def test_an_export_is_read(tool: str, text: str, ids: list[str], tmp_path: Path) -> None:
    found = read(tmp_path, text, tool).candidates
    assert [c.trial_id for c in found] == ids
    assert [c.accuracy for c in found] == [0.5, 0.6]
    assert [c.point for c in found] == [{"lambd": 0.1}, {"lambd": 0.3}]
    assert [c.names for c in found] == [{}, {}]


def test_a_study_of_optuna_is_read(tmp_path: Path) -> None:
    def objective(trial: optuna.Trial) -> float:
        lambd = trial.suggest_float("lambd", 0.1, 0.9)
        trial.suggest_categorical("kind", ["a"])
        trial.set_user_attr("alpha", 2 * lambd)
        if trial.number == 1:
            raise optuna.TrialPruned
        return lambd

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=4)
    found = read(tmp_path, study.trials_dataframe().to_csv(), "optuna").candidates
    assert [c.trial_id for c in found] == ["0", "2", "3"]
    for candidate in found:
        assert candidate.point["lambd"] == pytest.approx(candidate.accuracy)
        assert candidate.at_end("alpha", "measured")
        assert candidate.names == {"kind": "a"}


def test_a_table_of_another_tool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(WANDB)
    with pytest.raises(DataError, match=r"is no table of optuna: it has no column number"):
        load(tmp_path / "t.csv", tool="optuna")
    with pytest.raises(
        DataError, match=r"--from 'tensorboard' is not known\. Known: mlflow, optuna, wandb"
    ):
        load(tmp_path / "t.csv", tool="tensorboard")
