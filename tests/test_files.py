"""Acts on a study's storage keep what they promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep import files


def test_what_is_appended_stands_behind_what_was(tmp_path: Path) -> None:
    place = tmp_path / "log"
    files.append(place, b"one")
    files.append(place, memoryview(b" two"), at=3)
    assert files.read(place) == b"one two"


def test_an_append_sees_that_somebody_else_wrote_or_that_the_file_is_gone(tmp_path: Path) -> None:
    place = tmp_path / "log"
    files.append(place, b"one")
    with pytest.raises(OSError, match="3 bytes where 2 were left, so somebody else writes it"):
        files.append(place, b"two", at=2)
    files.remove(place)
    with pytest.raises(FileNotFoundError):
        files.append(place, b"two", at=3)
    assert not files.exists(place)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "config.json"
    files.write(place, b"old and long")
    files.write(place, memoryview(b"new"))
    assert files.read(place) == b"new"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        files.write(tmp_path / "taken", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "taken"]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    assert files.create(tmp_path / "a", b"first")
    assert not files.create(tmp_path / "a", b"second")
    assert files.read(tmp_path / "a") == b"first"


def test_a_file_is_cut_and_removed(tmp_path: Path) -> None:
    place = tmp_path / "a"
    files.write(place, b"12345")
    files.cut(place, 2)
    assert files.read(place) == b"12"
    files.remove(place)
    files.remove(place)
    assert not files.exists(place)
    with pytest.raises(FileNotFoundError):
        files.read(place)


def test_names_are_in_order_and_leave_out_what_a_killed_writer_left(tmp_path: Path) -> None:
    files.make(tmp_path / "x" / "y")
    for name in ("b", "a", ".a.0123.tmp"):
        (tmp_path / "x" / name).touch()
    assert files.names(tmp_path / "x") == ["a", "b", "y"]
    files.tidy(tmp_path / "x")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["a", "b", "y"]
    assert files.names(tmp_path / "nowhere") == []
    assert files.names(tmp_path / "x" / "a") == []


def test_a_folder_is_checked_without_a_trace(tmp_path: Path) -> None:
    files.check(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
