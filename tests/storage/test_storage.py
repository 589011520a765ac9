"""Acts on a study's storage keep what they promise, on a disk and on an object store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from upath import UPath

from sweep.core.errors import UserError
from sweep.storage import disk as files
from sweep.storage.disk import Place
from tests.object_store import Road


def test_what_is_appended_stands_behind_what_was(root: Place) -> None:
    place = root / "log"
    files.append(place, b"one")
    files.append(place, memoryview(b" two"), at=3)
    assert files.read(place) == b"one two"


def test_an_append_sees_that_somebody_else_wrote_or_that_the_file_is_gone(root: Place) -> None:
    place = root / "log"
    files.append(place, b"one")
    with pytest.raises(OSError, match="3 bytes where 2 were left, so somebody else writes"):
        files.append(place, b"two", at=2)
    files.remove(place)
    with pytest.raises(OSError, match=r"No such file|0 bytes where 3 were left"):
        files.append(place, b"two", at=3)
    assert not files.exists(place)


def test_a_file_is_written_whole(root: Place) -> None:
    place = root / "config.json"
    files.write(place, b"old and long")
    files.write(place, memoryview(b"new"))
    assert files.read(place) == b"new"
    assert files.names(root) == ["config.json"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        files.write(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_file_is_created_once(root: Place) -> None:
    assert files.create(root / "a", b"first")
    assert not files.create(root / "a", b"second")
    assert files.read(root / "a") == b"first"


def test_a_file_is_cut_and_removed(root: Place) -> None:
    place = root / "a"
    files.write(place, b"12345")
    files.cut(place, 2)
    assert files.read(place) == b"12"
    files.remove(place)
    files.remove(place)
    assert not files.exists(place)
    with pytest.raises(FileNotFoundError):
        files.read(place)


def test_names_are_in_order_and_leave_out_what_a_killed_writer_left(root: Place) -> None:
    folder = root / "x"
    files.make(folder / "y")
    for name in ("b", "a", ".a.0123.tmp"):
        files.create(folder / name, b"")
    files.create(folder / "y" / "below", b"")
    assert files.names(folder) == ["a", "b", "y"]
    assert files.names(folder, after="a") == ["b", "y"]
    assert files.names(folder, after="a", most=1) == ["b"]
    assert files.names(root / "nowhere") == []
    assert files.names(folder / "a") == []


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    for name in ("b", ".a.0123.tmp"):
        (tmp_path / name).touch()
    files.tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_is_checked_without_a_trace(root: Place) -> None:
    files.check(root / "a" / "b")
    assert files.names(root / "a" / "b") == []
    assert files.conditional(root / "a" / "b")
    assert files.names(root / "a" / "b") == []


# Places ------------------------------------------------------------------------------


def test_a_place_is_told_by_its_address(s3_server: str) -> None:
    assert files.place("results/one") == Path("results/one")
    assert files.place(Path("results")) == Path("results")
    assert files.place(UPath("results")) == Path("results")
    place = files.place("s3://sweep/a/b/")
    assert str(place) == "s3://sweep/a/b"
    assert place.name == "b"
    for same in (Path("s3://sweep/a/b"), UPath("s3://sweep/a/b"), place, str(place)):
        assert files.place(same) == place
    assert str(files.absolute(place / "c")) == "s3://sweep/a/b/c"
    assert files.absolute(Path("x")).is_absolute()


@pytest.mark.parametrize("address", ["gs://x/y", "s3://"])
def test_a_store_of_another_kind_or_no_bucket_is_refused(address: str) -> None:
    with pytest.raises(UserError, match=f"{address} is no place for results: it is a path, or s3:"):
        files.place(address)


def test_a_path_that_no_disk_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"'a\\x00b' is no path: it holds a zero byte"):
        files.place("a\0b")


def test_a_machine_without_s3fs_runs_local_studies_and_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('s3fs', 'upath', 'aiohttp'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from sweep.cli import app\n"
        "print(app.run_command(['ls', '--results', 'nowhere']))\n"
        "print(app.run_command(['ls', '--results', 's3://sweep/x']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0", "2"]
    assert "not installed (s3fs): pip install s3fs universal-pathlib." in done.stderr


# On the way to an object store -------------------------------------------------------


def test_a_lost_answer_is_known_by_its_bytes(road: Road, bucket: Place) -> None:
    folder = files.place(str(bucket))
    answers = iter([True])
    road.lose = lambda method, path: method == "PUT" and next(answers, False)
    assert files.create(folder / "event", b"ours")
    assert [method for method, _ in road.seen].count("PUT") == 2
    assert not files.create(folder / "event", b"another's")
    seen = files.look(folder / "event")
    assert seen is not None
    answers = iter([True])
    tag = files.swap(folder / "event", b"newer", seen.tag)
    assert tag is not None
    assert files.swap(folder / "event", b"newest", seen.tag) is None
    assert files.read(folder / "event") == b"newer"


def test_an_append_is_told_to_nobody_twice(road: Road, bucket: Place) -> None:
    place = files.place(str(bucket)) / "journal"
    files.append(place, b"1")
    answers = iter([True])
    road.lose = lambda method, path: method == "PUT" and next(answers, False)
    files.append(place, b"2")
    assert files.read(place) == b"12"


def test_two_that_append_at_once_lose_nothing(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep.storage import s3

    place = bucket / "journal"
    files.append(place, b"1")
    look = s3.look

    def late(place: UPath) -> files.Seen | None:
        seen = look(place)
        monkeypatch.setattr(s3, "look", look)
        files.append(place, b"2")
        return seen

    monkeypatch.setattr(s3, "look", late)
    files.append(place, b"3")
    assert files.read(place) == b"123"


def test_a_store_that_ignores_conditions_is_found_out(road: Road, bucket: Place) -> None:
    folder = files.place(str(bucket))
    assert files.conditional(folder)
    road.bare = True
    assert not files.conditional(folder)
    assert files.names(folder) == []


def test_an_answer_that_ends_in_its_middle_is_asked_for_again(road: Road, bucket: Place) -> None:
    place = files.place(str(bucket)) / "weights"
    files.write(place, bytes(range(256)) * 1000)
    torn = iter([True, True])
    road.tear = lambda method, path: method == "GET" and next(torn, False)
    assert files.read(place) == bytes(range(256)) * 1000
    assert next(torn, "all were") == "all were"


def test_a_store_that_is_busy_is_asked_again(road: Road, bucket: Place) -> None:
    busy = iter([True, True])
    road.refuse = lambda method, path: next(busy, False)
    files.write(files.place(str(bucket)) / "x", b"y")
    assert files.read(files.place(str(bucket)) / "x") == b"y"


def test_a_store_that_nobody_answers_for_is_an_error_like_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, bucket: Place
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    place = files.place("s3://elsewhere/x")
    for act in (files.read, files.exists, files.names, files.look, files.remove, files.check):
        with pytest.raises(
            OSError, match=r"Could not connect to the endpoint.*AWS_PROFILE"
        ) as error:
            act(place)
        assert isinstance(error.value, UserError)
