"""Which images are in which split, for each kind of set that people publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sweep.core.errors import DataError
from sweep.datasets.reading.drawing import copies, take, units_of
from sweep.datasets.reading.words import part_of
from tests.datasets.reading.sets import (
    encoded,
    files,
    labels_in,
    names_in,
    noise,
    read,
    several,
    summary,
    table,
    write,
)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("Training", "train"), ("seg_train", "train"), ("train2017", "train"),
        ("data-train-00000-of-00002", "train"), ("valid", "validation"), ("dev", "validation"),
        ("val_0", "validation"), ("validation", "validation"), ("test", "test"), ("eval", "test"),
        ("evaluation", "test"), ("my.testing.set", "test"), ("unlabeled", "unlabelled"),
        ("extra", "unlabelled"), ("trainer", None), ("testimony", None), ("valley", None),
        ("contest", None), ("device", None), ("train_test", None), ("0000", None), ("trainé", None),
    ],
)  # fmt: skip
def test_a_word_between_characters_that_are_no_letters_names_the_split(
    name: str, part: str | None
) -> None:
    assert part_of(name) == part


def two(folder: str, count: int) -> list[str]:
    return [*several(f"{folder}/cat", count), *several(f"{folder}/dog", count)]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("Training", "dev", "Testing"), ("my_train", "my_valid", "eval"),
     ("data/train", "data/validation", "data/evaluation"), ("train/train", "val/val", "test/test")],
)  # fmt: skip
def test_folders_give_the_splits(train: str, validation: str, test: str, tmp_path: Path) -> None:
    names = {part: two(part, 4) for part in (train, validation, test)}
    splits = read(files(tmp_path, [name for own in names.values() for name in own]))
    for part, split in (
        (train, splits.train),
        (validation, splits.validation),
        (test, splits.test),
    ):
        assert names_in(split, names[part]) == set(names[part])
        assert len(split) == len(names[part])
    assert splits.classes == ("cat", "dog")
    assert "validation 8, from names; test 8, from names" in summary(splits)


def test_file_names_give_the_splits_of_a_flat_folder(tmp_path: Path) -> None:
    names = [*several("train_a", 1), *(f"{part}_{n}.png" for part in ("train", "test")
             for n in range(9))][1:]  # fmt: skip
    splits = read(files(tmp_path, names))
    assert names_in(splits.test, names) == {name for name in names if "test" in name}


def test_a_single_file_named_test_is_read_and_said(tmp_path: Path) -> None:
    splits = read(files(tmp_path, [*several(".", 12), "test.png"]))
    assert "1 file names hold the word of a split (test)" in summary(splits)
    assert len(splits.pretrain) + len(splits.validation) + len(splits.test) == 13


def test_names_of_shards_give_the_splits(tmp_path: Path) -> None:
    for name, count in (("train-0", 20), ("train-1", 20), ("validation-0", 6), ("test-0", 9)):
        table(
            tmp_path / f"data/{name}.parquet", {"label": [n % 2 for n in range(count)]}, count=count
        )
    splits = read(tmp_path)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [40, 6, 9]


MIXTURES = {
    "a nested copy": [*two("train", 9), *two("test", 4), *two("all/train", 9), *two("all/test", 4)],
    "images to predict": [*two("seg_train", 9), *two("seg_test", 4), *several("seg_pred", 4)],
    "a class named train": [*several("train", 9), *several("bus", 9), *several("car", 9)],
    "files beside": [*two("train", 9), *two("test", 4), "cover.png"],
}


@pytest.mark.parametrize("kind", MIXTURES)
def test_folders_that_mix_splits_with_others_are_refused(kind: str, tmp_path: Path) -> None:
    files(tmp_path, MIXTURES[kind])
    with pytest.raises(DataError, match=r"that name splits \(.*\) beside .*data\.skip=.*data\.spl"):
        read(tmp_path)


def test_what_a_refusal_says_to_type_reads_the_images(tmp_path: Path) -> None:
    root = files(tmp_path / "a", MIXTURES["a nested copy"])
    splits = read(root, skip="all/*")
    assert (len(splits.train) + len(splits.validation), len(splits.test)) == (18, 8)
    assert read(root / "all").classes == ("cat", "dog")
    buses = files(tmp_path / "b", MIXTURES["a class named train"])
    assert read(buses, split="none").classes == ("bus", "car", "train")


def test_a_class_named_train_below_splits_is_a_class(tmp_path: Path) -> None:
    names = [n for part in ("train", "test") for kind in ("bus", "train")
             for n in several(f"{part}/{kind}", 8)]  # fmt: skip
    assert read(files(tmp_path, names)).classes == ("bus", "train")


def test_splits_inside_class_folders_are_refused_and_read_by_names(tmp_path: Path) -> None:
    names = [n for kind in ("cat", "dog") for part, count in (("train", 9), ("test", 4))
             for n in several(f"{kind}/{part}", count)]  # fmt: skip
    files(tmp_path, names)
    with pytest.raises(DataError, match=r"\(test, train\) inside other.*data\.split=\"names\""):
        read(tmp_path)
    splits = read(tmp_path, split="names")
    assert names_in(splits.test, names) == {name for name in names if "test" in name}
    assert labels_in(splits, names) == {name: name[:3] for name in names}
    drawn = read(tmp_path, split="none")
    assert drawn.classes == ("cat", "dog")
    assert drawn.report is not None
    assert drawn.report["splits"]["test"]["origin"] == "drawn"


def test_a_column_gives_the_splits(tmp_path: Path) -> None:
    words = ["train", "dev", "eval"]
    columns = {"split": [words[n % 3] for n in range(30)], "label": [n % 2 for n in range(30)],
               "fold": ["train" if n % 5 else "test" for n in range(30)]}  # fmt: skip
    path = table(tmp_path / "a.parquet", columns, count=30)
    splits = read(path)
    assert names_in(splits.validation, [f"a.parquet{n}" for n in range(30)]) == {
        f"a.parquet{n}" for n in range(1, 30, 3)
    }
    assert "test 10, from a column" in summary(splits)
    assert len(read(path, split="fold").test) == 6
    with pytest.raises(DataError, match=r"column 'label' holds 0, which is no split"):
        read(path, split="label")


def test_a_column_that_disagrees_with_the_names_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        columns = {"split": ["train"] * 12, "label": [n % 2 for n in range(12)]}
        table(tmp_path / f"{part}.parquet", columns, count=12)
    with pytest.raises(
        DataError, match=r"different splits\. Type data\.split=split or data\.split="
    ):
        read(tmp_path)
    assert len(read(tmp_path, split="names").test) == 12


def test_a_test_split_without_labels_is_drawn_from_the_labelled_images(tmp_path: Path) -> None:
    hidden = several("test", 10)
    labelled = two("train", 20)
    files(tmp_path, [*labelled, *hidden])
    splits = read(tmp_path)
    assert len(splits.test) == 8
    assert not names_in(splits.pretrain, hidden)
    assert "the test split has no labels, so one is drawn" in summary(splits)
    asked = read(tmp_path, pretrain_on_test=True)
    assert names_in(asked.pretrain, hidden) == set(hidden)
    assert len(asked.train) == len(splits.train)


def test_a_split_without_a_class_of_training_is_refused_and_some_are_said(tmp_path: Path) -> None:
    files(tmp_path, [*two("train", 9), *several("test/eel", 4)])
    with pytest.raises(DataError, match=r"test split .* no class in common: eel and cat, dog"):
        read(tmp_path)
    files(tmp_path, several("test/cat", 4))
    assert "the test split has 1 classes that training has not: eel" in summary(read(tmp_path))


def test_a_group_stays_in_one_split(tmp_path: Path) -> None:
    names = [
        f"{'sick' if who % 2 else 'well'}/p{who:02d}_{n}.png" for who in range(20) for n in range(3)
    ]
    splits = read(files(tmp_path, names), group="(p[0-9]+)_")
    parts = [
        {name.split("/")[1][:3] for name in names_in(split, names)}
        for split in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, parts)) == 20
    assert len(splits.test) == 12
    assert "20 groups, each in one split" in summary(splits)
    with pytest.raises(DataError, match=r"data\.group=q\[0-9\] is no column, and as a pattern"):
        read(tmp_path, group="q[0-9]")


def test_groups_across_given_splits_are_counted_and_named(tmp_path: Path) -> None:
    names = [f"{part}/{kind}/p{n}.png" for part in ("train", "test") for kind in ("a", "b")
             for n in range(9)]  # fmt: skip
    splits = read(files(tmp_path, names), group="(p[0-9])")
    assert "9 groups lie in several splits: p" in summary(splits)
    assert len(splits.test) == 18


def test_copies_of_one_image_are_drawn_together(tmp_path: Path) -> None:
    for copy in range(3):
        for image in range(20):
            picture = noise(f"image{image}")
            write(tmp_path / f"{'ab'[image % 2]}/{image}_{copy}.png", encoded(picture))
    splits = read(tmp_path)
    held = [
        {image.tobytes() for image in split.images}
        for split in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, held)) == 20
    assert "copies      40 exact within a split, 0 across splits" in summary(splits)


def test_copies_across_given_splits_are_counted_and_warned_of(tmp_path: Path) -> None:
    files(tmp_path, [*two("train", 9), *two("test", 4)])
    for number in range(2):
        write(tmp_path / f"test/cat/copy{number}.png", encoded(noise("train/cat/0.png")))
    splits = read(tmp_path, validation=0.2)
    assert len(splits.test) == 10
    assert splits.report is not None
    assert splits.report["duplicates"] == {"within": 1, "across": 1}
    assert "1 exact copies lie in several splits, for example" in summary(splits)


def test_copies_are_counted_beyond_the_first() -> None:
    assert copies([b"a", b"a", b"a", b"b"], ["train", "train", "test", "test"]) == (1, 1)
    assert copies([b"a", b"b"], ["train", "train"]) == (0, 0)


def test_limit_takes_equal_shares_of_each_class_and_decodes_nothing_else(tmp_path: Path) -> None:
    files(tmp_path, [*several("train/cat", 60), *several("train/dog", 20), *two("test", 5)])
    splits = read(tmp_path, limit=20)
    assert np.bincount(splits.train.labels).tolist() == [15, 5]  # type: ignore[arg-type]
    for file in (tmp_path / "train").rglob("*.png"):
        file.write_bytes(b"damaged " + str(file).encode())
    with pytest.raises(DataError, match=r"28 of 38 images cannot be decoded"):
        read(tmp_path, limit=20)


def test_drawn_shares_of_units_are_near_and_whole() -> None:
    rng = np.random.default_rng(0)
    pool = np.arange(1000)
    labels = (pool % 10 == 0).astype(np.int64)
    units = np.repeat(np.arange(250), 4)
    drawn, rest = take(pool, 0.2, labels, units, rng)
    assert len(drawn) == 200
    assert len(np.union1d(drawn, rest)) == 1000
    assert not set(units[drawn]) & set(units[rest])
    exact, _ = take(pool, 0.2, labels, None, rng)
    assert np.bincount(labels[exact]).tolist() == [180, 20]


def test_images_that_share_any_key_are_one_unit() -> None:
    assert units_of(5, ["a", "b", "a", None, None], [None, 1, 2, 1, 2]).tolist() == [0, 1, 0, 1, 0]


def test_a_folder_with_tables_and_images_is_refused(tmp_path: Path) -> None:
    files(tmp_path, two("train", 9))
    table(tmp_path / "b.parquet", {"label": [n % 2 for n in range(20)]}, count=20)
    with pytest.raises(DataError, match=r"18 images and 1 tables .*data\.name=imagefolder or"):
        read(tmp_path)
    assert read(tmp_path, name="parquet").classes == ("0", "1")
    assert read(tmp_path, name="imagefolder").classes == ("cat", "dog")
