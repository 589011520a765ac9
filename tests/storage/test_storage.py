"""Each act of a storage keeps its promise, on a disk and on an object store."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from upath import UPath

from sweep.core.errors import UserError
from sweep.storage import s3
from sweep.storage.disk import Disk
from sweep.storage.location import Location, locate
from tests.object_store import Road


def test_what_is_appended_stands_behind_what_was(root: Location) -> None:
    place = root / "log"
    place.append(b"one")
    place.append(memoryview(b" two"), at=3)
    assert place.read() == b"one two"


def test_an_append_sees_that_somebody_else_wrote_or_that_the_file_is_gone(root: Location) -> None:
    place = root / "log"
    place.append(b"one")
    with pytest.raises(OSError, match="3 bytes instead of 2, so another process writes"):
        place.append(b"two", at=2)
    place.remove()
    with pytest.raises(OSError, match=r"No such file|0 bytes instead of 3"):
        place.append(b"two", at=3)
    assert not place.exists()


def test_a_file_is_written_whole(root: Location) -> None:
    place = root / "config.json"
    place.write(b"old and long")
    place.write(memoryview(b"new"))
    assert place.read() == b"new"
    assert root.names() == ["config.json"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        locate(tmp_path / "taken").write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_file_is_created_once(root: Location) -> None:
    assert (root / "a").create(b"first")
    assert not (root / "a").create(b"second")
    assert (root / "a").read() == b"first"


def test_a_file_is_cut_and_removed(root: Location) -> None:
    place = root / "a"
    place.write(b"12345")
    place.cut(2)
    assert place.read() == b"12"
    place.remove()
    place.remove()
    assert not place.exists()
    with pytest.raises(FileNotFoundError):
        place.read()


def test_names_are_in_order_and_leave_out_what_a_killed_writer_left(root: Location) -> None:
    folder = root / "x"
    (folder / "y").make_folder()
    for name in ("b", "a", ".a.0123.tmp"):
        (folder / name).create(b"")
    (folder / "y" / "below").create(b"")
    assert folder.names() == ["a", "b", "y"]
    assert folder.names(after="a") == ["b", "y"]
    assert folder.names(after="a", most=1) == ["b"]
    assert (root / "nowhere").names() == []
    assert (folder / "a").names() == []


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    for name in ("b", ".a.0123.tmp"):
        (tmp_path / name).touch()
    locate(tmp_path).tidy()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_is_checked_without_a_trace(root: Location) -> None:
    (root / "a" / "b").check_writable()
    assert (root / "a" / "b").names() == []
    assert (root / "a" / "b").keeps_drivers_apart()
    assert (root / "a" / "b").names() == []


def test_a_file_is_looked_at_with_an_etag_that_changes_with_every_version(root: Location) -> None:
    place = root / "note"
    assert place.look() is None
    etags = []
    for data in (b"one", b"two", b"one"):
        place.write(data)
        version = place.look()
        assert version is not None
        assert version.data == data
        assert 0 <= version.age_seconds < 60
        etags.append(version.etag)
    assert etags[0] != etags[1]


def test_a_file_is_read_in_three_ways(root: Location) -> None:
    for data in (b"", bytes(range(256))):
        (root / "x").write(data)
        assert (root / "x").read() == data
        assert bytes((root / "x").view()) == data
        with (root / "x").open_read() as file:
            assert file.read() == data
    for read in (root / "y").read, (root / "y").view, (root / "y").open_read:
        with pytest.raises(FileNotFoundError):
            read()


def test_a_view_outlives_the_replacement_of_its_file(root: Location) -> None:
    (root / "x").write(b"old")
    view = (root / "x").view()
    (root / "x").write(b"new")
    assert bytes(view) == b"old"


def test_a_folder_is_told_from_a_file(root: Location) -> None:
    (root / "a").make_folder()
    (root / "a" / "b").write(b"x")
    assert (root / "a").is_folder()
    assert not (root / "a").exists()
    assert not (root / "a" / "b").is_folder()
    assert not (root / "c").is_folder()


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    lock = locate(tmp_path / "lock")
    with lock.lock(seconds=0), pytest.raises(TimeoutError), lock.lock(seconds=0):
        pass
    with lock.lock(seconds=0):
        pass


def test_leftovers_are_found_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".x.0123.tmp").write_bytes(b"123")
    (tmp_path / "a" / "x").write_bytes(b"1")
    assert locate(tmp_path).leftovers() == [(str(tmp_path / "a" / ".x.0123.tmp"), 3)]


# Locations ---------------------------------------------------------------------------


def test_a_location_is_made_from_an_address(s3_server: str) -> None:
    local = Location(Disk(), Path("results/one"))
    for same in ("results/one", Path("results/one"), UPath("results/one"), local):
        assert locate(same) == local
    assert local.native == Path("results/one")
    assert locate("x").absolute().native == Path.cwd() / "x"
    place = locate("s3://sweep/a/b/")
    assert str(place) == "s3://sweep/a/b"
    assert place.name == "b"
    addresses = (Path("s3://sweep/a/b"), UPath("s3://sweep/a/b"), place, str(place), place.native)
    for address in addresses:
        assert locate(address) == place
    assert str(place.absolute() / "c") == "s3://sweep/a/b/c"
    assert pickle.loads(pickle.dumps(place)) == place


@pytest.mark.parametrize("address", ["gs://x/y", "s3://"])
def test_a_store_of_another_kind_or_no_bucket_is_refused(address: str) -> None:
    with pytest.raises(UserError, match=f"{address} cannot hold results. Type .* or s3://BUCKET"):
        locate(address)


def test_settings_that_would_be_ignored_are_refused() -> None:
    folder = UPath("s3://sweep/a", endpoint_url="http://elsewhere", key="x")
    with pytest.raises(UserError, match=r"options endpoint_url, key, which .*Set AWS_PROFILE"):
        locate(folder)


def test_a_path_that_no_disk_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"'a\\x00b' is not a path: it contains a zero byte"):
        locate("a\0b")


def test_without_the_packages_for_s3_local_studies_run_and_an_address_says_what_to_install() -> (
    None
):
    code = (
        "import sys\n"
        "class Without:\n"
        "    def __init__(self, finder):\n"
        "        self.finder = finder\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self.finder, name)\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name not in ('s3fs', 'upath', 'boto3', 'botocore'):\n"
        "            return self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]\n"
        "from sweep.cli import app\n"
        "print(app.run_command(['ls', '--results', 'nowhere']))\n"
        "print(app.run_command(['ls', '--results', 's3://sweep/x']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0", "2"]
    assert (
        "not installed (boto3, s3fs, universal-pathlib): pip install boto3 s3fs univ" in done.stderr
    )


# On the way to an object store -------------------------------------------------------


def test_a_lost_answer_is_known_by_its_bytes(road: Road, bucket: Location) -> None:
    folder = locate(str(bucket))
    answers = iter([True])
    road.lose = lambda method, path: method == "PUT" and next(answers, False)
    assert (folder / "event").create(b"ours")
    assert [method for method, _ in road.seen].count("PUT") == 2
    assert not (folder / "event").create(b"another's")
    version, store = (folder / "event").look(), folder.conditional
    assert version is not None
    assert store is not None
    answers = iter([True])
    path = (folder / "event").path
    assert store.replace(path, b"newer", version.etag) is not None
    assert store.replace(path, b"newest", version.etag) is None
    assert (folder / "event").read() == b"newer"


def test_an_append_is_told_to_nobody_twice(road: Road, bucket: Location) -> None:
    place = locate(str(bucket)) / "journal"
    place.append(b"1")
    answers = iter([True])
    road.lose = lambda method, path: method == "PUT" and next(answers, False)
    place.append(b"2")
    assert place.read() == b"12"


def test_two_that_append_at_once_lose_nothing(road: Road, bucket: Location) -> None:
    (bucket / "journal").append(b"1")
    first = iter([True])

    def late(method: str, path: str) -> bool:
        if method == "PUT" and next(first, False):
            (bucket / "journal").append(b"2")  # before the PUT arrives; not by this road
        return False

    (bucket / "journal").read()  # its client is made now, with the address without the road
    road.refuse = late
    (locate(str(bucket)) / "journal").append(b"3")
    assert (bucket / "journal").read() == b"123"


def test_a_store_that_ignores_conditions_is_found_out(road: Road, bucket: Location) -> None:
    folder = locate(str(bucket))
    assert folder.keeps_drivers_apart()
    road.bare = True
    assert not folder.keeps_drivers_apart()
    assert folder.names() == []


def test_an_answer_that_ends_in_its_middle_is_asked_for_again(road: Road, bucket: Location) -> None:
    place = locate(str(bucket)) / "weights"
    place.write(bytes(range(256)) * 1000)
    torn = iter([True, True])
    road.tear = lambda method, path: method == "GET" and next(torn, False)
    assert place.read() == bytes(range(256)) * 1000
    assert next(torn, "all were") == "all were"


def test_a_store_that_is_busy_is_asked_again(road: Road, bucket: Location) -> None:
    busy = iter([True, True])
    road.refuse = lambda method, path: next(busy, False)
    (locate(str(bucket)) / "x").write(b"y")
    assert (locate(str(bucket)) / "x").read() == b"y"


def test_a_store_that_nobody_answers_for_is_an_error_like_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, bucket: Location
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    place = locate("s3://elsewhere/x")
    acts: tuple[Callable[[], object], ...]
    acts = (place.read, place.exists, place.names, place.look, place.remove, place.check_writable)
    for act in acts:
        with pytest.raises(
            OSError, match=r"Could not connect to the endpoint.*AWS_PROFILE"
        ) as error:
            act()
        assert isinstance(error.value, UserError)


def test_a_large_object_is_sent_in_parts(
    road: Road, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * 2**20)  # S3 takes no smaller parts
    data = bytes(range(256)) * 2**15  # 8 MiB
    weights = locate(str(bucket)) / "weights"
    weights.write(data)
    assert [method for method, path in road.seen if "partNumber" in path] == ["PUT"] * 2
    assert weights.read() == data


def test_a_profile_says_where_the_store_is_for_us_and_for_a_users_own_code(
    s3_server: str, bucket: Location, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion = us-east-1\nendpoint_url = {s3_server}\n"
    )
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = anybody\naws_secret_access_key = secret\n"
    )
    code = (
        "import sys\n"
        "from sweep.pretraining.context import Context\n"
        "from sweep.storage.location import locate\n"
        "context = Context.from_json({'folder': sys.argv[1]})\n"
        "(context.folder / 'theirs').write_text('by a user')\n"
        "(context.location / 'ours').write(b'by sweep')\n"
        "print((context.folder / 'ours').read_text(), (context.location / 'theirs').read())\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {
        "AWS_PROFILE": "lab",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    command = [sys.executable, "-c", code, str(bucket)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout == "by sweep b'by a user'\n", done.stderr
    assert bucket.names() == ["ours", "theirs"]
