"""Studies are found by name and by path, and a new study never touches another one's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.core.errors import StudyError, UserError
from sweep.core.events import Event, TrialStarted
from sweep.log.study_folder import check_writable, create, find, listing, open_log
from sweep.storage.location import Location, locate


def event(seq: int) -> Event:
    return TrialStarted(seq=seq, time=float(seq), trial_id="t")


def begun(results: Location, name: str) -> Location:
    folder = create(results, name)
    with open_log(folder) as log:
        log.append(event(0))
    return folder


def test_a_study_is_found_by_name_and_by_path(root: Location) -> None:
    folder = begun(root / "results", "one")
    assert find(root / "results", "one") == folder
    assert find(root / "results", "one/") == folder
    assert find(root / "elsewhere", str(folder)) == folder
    assert listing(root / "results") == [folder]


def test_a_missing_study_is_answered_with_those_there_are(root: Location) -> None:
    begun(root, "cifar10")
    begun(root, "stl10")
    (root / "notes").make_folder()
    with pytest.raises(StudyError, match=r"'cifar1' is not known. Did you mean 'cifar10'.*stl10"):
        find(root, "cifar1")
    for odd in ("", ".", "..", "notes", "cifar10/trials"):
        with pytest.raises(StudyError, match=r"Known: cifar10, stl10\. They lie in"):
            find(root, odd)
    with pytest.raises(StudyError, match=r"none at all in .*sweep run experiments/quickstart"):
        find(root / "nowhere", "cifar10")


def test_a_name_cannot_leave_the_folder(root: Location) -> None:
    for name in ("", ".", "..", "../x", "a/b", "/etc", "a\n", "-x", "x" * 101):
        with pytest.raises(StudyError, match="A study cannot be named"):
            create(root / "results", name)
    assert root.names() == []


def test_a_study_that_exists_is_not_begun_again(root: Location) -> None:
    begun(root, "one")
    with pytest.raises(StudyError, match=r"exists already. `sweep resume .*one` goes on with it"):
        create(root, "one")


def test_a_driver_that_died_before_its_first_event_leaves_the_name_free(root: Location) -> None:
    with open_log(create(root, "one")):
        pass
    assert create(root, "one") == root / "one"


def test_somebody_elses_folder_is_left_alone(root: Location) -> None:
    (root / "photos").make_folder()
    (root / "photos" / "cat.png").write(b"")
    with pytest.raises(StudyError, match=r"is not a study but holds 'cat.png'"):
        create(root, "photos")


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="exists and is not a folder"):
        create(locate(tmp_path), "file")


def test_results_that_cannot_be_written_are_refused_in_a_sentence(tmp_path: Path) -> None:
    check_writable(locate(tmp_path / "a" / "b"))
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written to .*Name another .*--results DIR"):
        check_writable(locate(tmp_path / "file" / "results"))
    with pytest.raises(UserError, match="cannot be written to"):
        create(locate(tmp_path / "file"), "one")
