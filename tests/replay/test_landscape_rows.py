from __future__ import annotations

import pyarrow as pa
import pytest

from sweep.core.errors import DataError
from sweep.replay.landscape_rows import of_table, to_table
from sweep.replay.simulate import simulate
from sweep.rules.baselines import ProbeAll

COLUMNS = {"d": [16, 32], "alpha": [1.0, 2.0], "accuracy": [0.5, 0.6]}


def test_percent_becomes_a_share_and_names_may_differ() -> None:
    table = pa.table({"d": [16, 32], "a4": [1.0, 2.0], "top1": [50.0, 61.5]})
    found = of_table("mine", table, columns={"alpha": "a4", "accuracy": "top1"})
    assert [c.accuracy for c in found.candidates] == [0.5, 0.615]
    assert [c.trial_id for c in found.candidates] == ["d=16", "d=32"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"d": [1], "accuracy": [0.5]}, r"no criterion: no column alpha, rankme or loss"),
        ({"d": [1], "alpha": [1.0]}, r"no column accuracy\. Name it with --column accuracy=NAME"),
        (COLUMNS | {"d": [16, 16]}, r"holds the candidate d=16 twice"),
        (COLUMNS | {"trial_id": ["a", "a"]}, r"holds the candidate a twice"),
        (COLUMNS | {"probe_seconds": [1.0, -1.0]}, r"probe_seconds .* is -1, but must be >= 0"),
        (COLUMNS | {"accuracy": [0.5, -0.2]}, r"Row 2 has the accuracy -0\.2, but accuracies lie"),
        (COLUMNS | {"accuracy": [50, 101]}, r"Row 2 has the accuracy 101, but accuracies lie"),
        (COLUMNS | {"fraction": [1.5, 1.0]}, r"fraction of the candidate .* is 1\.5"),
        (COLUMNS | {"fraction": [0.5, 1.0]}, r"no row of the candidate d=16 at the end"),
        ({"alpha": [], "accuracy": []}, r"mine has no row"),
    ],
)
def test_what_is_no_table_of_trials_gets_a_sentence(
    columns: dict[str, list[object]], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        of_table("mine", pa.table(columns))


def test_training_seconds_that_fall_get_a_sentence() -> None:
    table = pa.table(
        {
            "trial_id": ["a", "a"],
            "fraction": [0.5, 1.0],
            "alpha": [1.0, 1.0],
            "accuracy": [0.4, 0.5],
            "pretrain_seconds": [20.0, 10.0],
        }
    )
    with pytest.raises(DataError, match="falls from 20 to 10"):
        of_table("mine", table)


METHODS = ["byol", "byol", "vicreg", "vicreg"]
NAMED = {
    "trial_id": ["a", "b", "c", "d"],
    "method.name": METHODS,
    "flip": [True, False, True, False],
    "alpha": [1.0, 1.1, 2.0, 2.1],
    "accuracy": [0.1, 0.2, 0.3, 0.4],
}


def test_fields_whose_values_are_names_are_read_and_written() -> None:
    landscape = of_table("mine", pa.table(NAMED))
    assert [c.names["method.name"] for c in landscape.candidates] == METHODS
    assert [c.names["flip"] for c in landscape.candidates] == NAMED["flip"]
    assert of_table("mine", to_table(landscape)) == landscape


def test_names_tell_candidates_apart_that_have_no_id() -> None:
    table = pa.table({name: column for name, column in NAMED.items() if name != "trial_id"})
    ids = [c.trial_id for c in of_table("mine", table).candidates]
    assert ids[:2] == ["method.name=byol flip=True", "method.name=byol flip=False"]


def test_a_name_that_changes_during_training_is_no_field() -> None:
    rows = {
        "trial_id": ["a", "a"],
        "fraction": [0.5, 1.0],
        "note": ["early", "late"],
        "alpha": [1.0, 1.0],
        "accuracy": [0.4, 0.5],
    }
    assert of_table("mine", pa.table(rows)).candidates[0].names == {}


def test_a_replay_gives_names_to_the_history() -> None:
    study, _ = simulate(of_table("mine", pa.table(NAMED)), ProbeAll(), range(4), parallel=2)
    assert study.history.names("method.name").tolist() == METHODS
    assert study.history.names("flip").tolist() == ["true", "false", "true", "false"]
    assert study.history.varied == ("flip",)


@pytest.mark.parametrize(("name", "broken"), [("alpha", True), ("loss", True), ("rankme", False)])
def test_an_empty_alpha_or_loss_condemns_a_candidate(name: str, broken: bool) -> None:
    columns = {"alpha": [1.0], "loss": [2.0], "rankme": [3.0], "accuracy": [0.5], name: [None]}
    assert of_table("mine", pa.table(columns)).candidates[0].broken is broken
