"""What a rule may see of the varied fields."""

from __future__ import annotations

from sweep.core.events import CandidateAdded
from sweep.core.history import History

POINTS = [
    {"method.name": "byol", "tau": 0.99, "flip": True},
    {"method.name": "barlow_twins", "d": 64, "flip": False},
    {"method.name": "byol", "tau": 0.9, "odd": [1]},
]


def history(count: int = 3) -> History:
    folded = History()
    for seq in range(count):
        folded.fold(CandidateAdded(seq=seq, trial_id=f"t{seq}", point=POINTS[seq % 3], config={},
                                   index=seq))  # fmt: skip
    return folded


def test_fields_whose_values_are_numbers_are_columns() -> None:
    assert history().varied == ("tau", "flip", "d")
    assert history().column("flip").tolist()[:2] == [1.0, 0.0]


def test_fields_whose_values_are_names_are_carried() -> None:
    folded = history()
    assert folded.named == ("method.name", "flip")
    assert folded.names("method.name").tolist() == ["byol", "barlow_twins", "byol"]
    assert folded.names("flip").tolist() == ["true", "false", ""]
    assert folded.names("nothing").tolist() == ["", "", ""]
    assert (folded.names("method.name") == "byol").tolist() == [True, False, True]


def test_names_are_kept_as_the_history_grows() -> None:
    names = history(40).names("method.name")
    assert names.tolist() == [POINTS[row % 3]["method.name"] for row in range(40)]


def test_a_candidates_point_has_its_numbers_and_names() -> None:
    assert history().point(1) == {"d": 64.0, "flip": "false", "method.name": "barlow_twins"}
    assert history().point(2) == {"tau": 0.9, "method.name": "byol"}
