"""The digest of images is of their content; size and times only say whether it still holds."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.config.models import DataConfig
from sweep.config.study import StudyConfig
from sweep.core.errors import DataError, UserError
from sweep.datasets.cache import fingerprint, load
from sweep.datasets.entries import entries, remove
from sweep.datasets.inspect import inspect
from sweep.launch.preflight import prepare
from sweep.pretraining.members import bind_data
from tests.datasets.reading.sets import encoded, files, noise, several, table, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes."""
    return files(tmp_path / "set", [*several("cat", 20), *several("dog", 20)])


def config(path: Path, **keys: Any) -> DataConfig:
    return DataConfig.model_validate({"path": str(path), **keys})


def test_the_digest_without_decoding_is_that_of_the_decoded_images(
    root: Path, tmp_path: Path
) -> None:
    for keys in ({}, {"size": 4, "resize": "pad"}, {"limit": 10}, {"label": "none"}):
        name = fingerprint(config(root, **keys), cache=tmp_path / "a")
        assert load(config(root, **keys), cache=tmp_path / "b").digest == name


def test_a_copy_at_another_path_has_the_same_digest_and_is_kept_once(
    root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "copy")
    first = load(config(root), cache=tmp_path / "cache")
    second = load(config(tmp_path / "copy"), cache=tmp_path / "cache")
    assert first.digest == second.digest
    (entry,) = entries(tmp_path / "cache")
    assert entry.paths == tuple(sorted([str(root), str(tmp_path / "copy")]))


@pytest.mark.parametrize(
    "keys",
    [
        {"resize": "crop"}, {"background": "white"}, {"channels": None}, {"name": "imagefolder"},
        {"skip": ["*.txt"]}, {"reading": 2},
    ],
    ids=lambda keys: next(iter(keys)),
)  # fmt: skip
def test_a_key_at_its_default_does_not_change_the_digest(
    keys: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    assert fingerprint(config(root, **keys)) == fingerprint(config(root))


@pytest.mark.parametrize(
    "keys",
    [{"size": 4}, {"background": "black"}, {"channels": 3}, {"range": [0, 1]}, {"label": "none"},
     {"seed": 1}, {"test": 0.4}, {"limit": 9}, {"size": 4, "resize": "squeeze"}],
    ids=str,
)  # fmt: skip
def test_a_key_that_changes_the_images_changes_the_digest(keys: dict[str, Any], root: Path) -> None:
    assert fingerprint(config(root, **keys)) != fingerprint(config(root))


def test_half_a_file_rewritten_with_the_same_size_is_another_set(
    root: Path, tmp_path: Path
) -> None:
    file = root / "cat" / "3.png"
    other = encoded(noise("another"))
    whole = file.read_bytes() + bytes(300)
    write(file, whole)
    before = load(config(root), cache=tmp_path / "cache")
    facts = file.stat()
    write(file, other + bytes(len(whole) - len(other)))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # ctime still tells
    after = load(config(root), cache=tmp_path / "cache")
    assert before.digest != after.digest
    held = {image.tobytes() for image in after.splits.pretrain.images}
    held |= {image.tobytes() for image in after.splits.validation.images}
    held |= {image.tobytes() for image in after.splits.test.images}
    assert noise("another").transpose(2, 0, 1).tobytes() in held


def test_labels_mended_in_the_middle_of_a_table_are_used(tmp_path: Path) -> None:
    labels = [n % 2 for n in range(400)]
    path = table(tmp_path / "a.parquet", {"label": labels}, count=400)
    before = load(config(path), cache=tmp_path / "cache")
    mended = pq.read_table(path)
    labels[180:220] = [1 - label for label in labels[180:220]]
    mended = mended.set_column(mended.schema.get_field_index("label"), "label", pa.array(labels))
    pq.write_table(mended, path, row_group_size=8)
    after = load(config(path), cache=tmp_path / "cache")
    assert before.digest != after.digest
    of_images = {}
    for split in (after.splits.train, after.splits.validation, after.splits.test):
        assert split.labels is not None
        for image, label in zip(split.images, split.labels, strict=True):
            of_images[image.tobytes()] = int(after.splits.classes[label])
    wanted = {noise(f"a.parquet{n}").transpose(2, 0, 1).tobytes(): labels[n] for n in range(400)}
    assert of_images == wanted


def test_files_that_did_not_change_are_not_read_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(config(root), cache=tmp_path / "cache")
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    again = load(config(root), cache=tmp_path / "cache")
    assert again.digest == first.digest
    assert again.report == first.report
    assert fingerprint(config(root), cache=tmp_path / "cache") == first.digest
    of_a_trial = bind_data(config(root))  # names the member and all its keys
    assert load(of_a_trial, cache=tmp_path / "cache").digest == first.digest


def test_a_damaged_memory_is_read_as_none(root: Path, tmp_path: Path) -> None:
    first = load(config(root), cache=tmp_path / "cache")
    for file in (tmp_path / "cache" / "known").iterdir():
        file.write_text("{")
    assert load(config(root), cache=tmp_path / "cache").digest == first.digest


def test_training_images_are_kept_once_beside_unlabelled_ones(root: Path, tmp_path: Path) -> None:
    files(root, several("extra", 12))
    data = load(config(root), cache=tmp_path / "cache")
    assert len(data.splits.pretrain) == len(data.splits.train) + 12
    np.testing.assert_array_equal(
        data.splits.pretrain.images[: len(data.splits.train)], data.splits.train.images
    )
    assert not (tmp_path / "cache" / data.digest / "train-images.npy").exists()


def test_ids_of_trials_do_not_depend_on_keys_that_change_nothing(root: Path) -> None:
    def ids(**keys: Any) -> list[str]:
        tree = {
            "data": {"path": str(root), **keys},
            "encoder": {"name": "small_conv"},
            "criteria": {"images": 20, "alpha": {"last": 10}},
            "train": {"batch": 8},
            "rule": {"name": "none"},
            "space": {"axes": {"d": [8, 16]}},
        }
        return [candidate.trial_id for candidate in prepare(StudyConfig.parse(tree)).candidates]

    assert ids() == ids(background="white", resize="crop", name="imagefolder")
    assert not set(ids()) & set(ids(background="black"))


def test_entries_of_the_cache_are_listed_and_removed(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    names = {load(config(root, seed=seed), cache=cache).digest for seed in range(3)}
    assert {entry.digest for entry in entries(cache)} == names
    first = sorted(names)[0]
    with pytest.raises(
        UserError, match=r"no entry of the cache begins with 'x'\. `sweep cache ls`"
    ):
        remove(["x"], cache)
    assert [entry.digest for entry in remove([first[:12]], cache)] == [first]
    assert {entry.digest for entry in entries(cache)} == names - {first}
    assert len(remove(["all"], cache)) == 2
    assert entries(cache) == []
    assert load(config(root), cache=cache).digest in names


def test_an_inspection_shows_mixed_sizes_and_a_quick_one_decodes_nothing(
    root: Path, tmp_path: Path
) -> None:
    quick = inspect(config(root), quick=True, cache=tmp_path)
    assert (quick["range"], quick["undecodable"], quick["duplicates"]) == (None, None, None)
    assert quick["cache"] == {"digest": None}
    assert not list(tmp_path.glob("*-images.npy"))
    files(root, several("cat/big", 3), side=11)
    with pytest.raises(DataError, match="differ in size"):
        load(config(root), cache=tmp_path)
    for report in (inspect(config(root), cache=tmp_path), inspect(config(root), quick=True)):
        size = report["size"]
        assert (size["smallest"], size["largest"], size["network"]) == ([6, 6], [11, 11], None)
    json.dumps(report, allow_nan=False)
