"""Which column or folder is the label, for each kind of set that people publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.core.errors import DataError
from tests.datasets.reading.sets import files, labels_in, read, several, summary, table

COUNT = 24
ANIMALS = ["cat", "dog", "eel"]


def animals(count: int = COUNT) -> list[str]:
    return [ANIMALS[row % 3] for row in range(count)]


def expected(path: Path, values: list[Any]) -> dict[str, str]:
    return {f"{path.name}{row}": str(value) for row, value in enumerate(values)}


@pytest.mark.parametrize("name", ["label", "labels", "Target", "class", "fine_label", "species"])
def test_a_column_named_like_a_label_is_the_label(name: str, tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", {"age": range(COUNT), name: animals()}, count=COUNT)
    splits = read(path)
    wanted = expected(path, animals())
    assert labels_in(splits, wanted) == wanted
    assert splits.classes == ("cat", "dog", "eel")
    assert f"labels      the column {name}: the column named {name}" in summary(splits)
    assert "classes     3 of 8 images each; chance level" in summary(splits)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (pa.array(animals()), ("cat", "dog", "eel")),
        (pa.array(animals()).dictionary_encode(), ("cat", "dog", "eel")),
        (pa.array([row % 2 == 0 for row in range(COUNT)]), ("false", "true")),
        (pa.array([row % 3 * 5 for row in range(COUNT)]), ("0", "5", "10")),
        (pa.array([row % 3 * 5.0 for row in range(COUNT)]), ("0", "5", "10")),
    ],
    ids=["text", "dictionary", "boolean", "integer", "whole float"],
)
def test_labels_of_any_type_become_classes_with_names(
    values: pa.Array, classes: tuple[str, ...], tmp_path: Path
) -> None:
    splits = read(table(tmp_path / "a.parquet", {"label": values}, count=COUNT))
    assert splits.classes == classes
    assert set(splits.train.labels.tolist()) == set(range(len(classes)))  # type: ignore[union-attr]


def test_the_metadata_of_hugging_face_comes_before_names(tmp_path: Path) -> None:
    columns = {
        "label": [row % 2 for row in range(COUNT)],
        "breed": [row % 3 for row in range(COUNT)],
    }
    path = table(tmp_path / "a.parquet", columns, count=COUNT, classes={"breed": ANIMALS})
    splits = read(path)
    assert splits.classes == tuple(ANIMALS)
    assert labels_in(splits, expected(path, animals())) == expected(path, animals())
    assert "the column breed: its metadata names the classes" in summary(splits)


def test_an_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", {"__index_level_0__": [row % 2 for row in range(COUNT)]},
                 count=COUNT)  # fmt: skip
    splits = read(path)
    assert splits.train.labels is None
    assert "labels      none: no class folders and no columns" in summary(splits)
    with pytest.raises(DataError, match=r"data\.label=__index_level_0__: there are no columns"):
        read(path, label="__index_level_0__")


def test_a_lone_integer_of_another_name_is_no_label(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", {"age": [row % 4 for row in range(COUNT)]}, count=COUNT)
    splits = read(path)
    assert splits.train.labels is None
    assert splits.classes == ()
    assert "labels      none: no column is named label, labels, target or class" in summary(splits)
    assert "data.label=COLUMN names one of age" in summary(splits)
    assert read(path, label="age").classes == ("0", "1", "2", "3")


def test_a_column_with_almost_a_class_for_each_row_is_no_label(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", {"label": [row // 1.5 // 1 for row in range(COUNT)]},
                 count=COUNT)  # fmt: skip
    assert read(path).train.labels is None
    assert "label: it has 16 classes for 24 images" in summary(read(path))
    with pytest.raises(DataError, match=r"data\.label=label: it has 16 classes for 24 images\."):
        read(path, label="label")


def test_two_columns_that_may_be_the_label_are_refused(tmp_path: Path) -> None:
    columns = {"label": animals(), "target": [row % 2 for row in range(COUNT)]}
    path = table(tmp_path / "a.parquet", columns, count=COUNT)
    with pytest.raises(DataError, match=r"'label' \(3 classes.*or 'target' \(2.*data\.label=label"):
        read(path)
    assert read(path, label="target").classes == ("0", "1")
    assert read(path, label="none").train.labels is None


def test_two_columns_that_say_the_same_are_one_label(tmp_path: Path) -> None:
    columns = {"label": [row % 3 for row in range(COUNT)], "class": animals()}
    splits = read(table(tmp_path / "a.parquet", columns, count=COUNT))
    assert splits.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (pa.array([[row % 2] for row in range(COUNT)]), "it holds lists"),
        (pa.array([row / 7 for row in range(COUNT)]), "it holds 0.1"),
        (pa.array(["same"] * COUNT), "all images have the same label"),
        (pa.array([None] * COUNT, pa.string()), "no image has a label"),
    ],
    ids=["lists", "fractions", "one class", "nulls"],
)
def test_a_named_column_without_classes_is_refused(
    values: pa.Array, fault: str, tmp_path: Path
) -> None:
    path = table(tmp_path / "a.parquet", {"label": values}, count=COUNT)
    with pytest.raises(DataError, match=rf"data\.label=label: {fault}"):
        read(path, label="label")
    assert read(path).train.labels is None
    assert fault in summary(read(path))


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", {"breed": animals()}, count=COUNT)
    with pytest.raises(DataError, match=r"'bred' is not known\. Did you mean 'breed'\?"):
        read(path, label="bred")


def test_classes_are_mapped_by_name_across_shards(tmp_path: Path) -> None:
    wanted: dict[str, str] = {}
    for split, names in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        path = table(tmp_path / f"{split}.parquet", {"label": [row % 2 for row in range(COUNT)]},
                     count=COUNT, classes={"label": names})  # fmt: skip
        wanted |= expected(path, [names[row % 2] for row in range(COUNT)])
    splits = read(tmp_path)
    assert splits.classes == ("dog", "cat")
    assert labels_in(splits, wanted) == wanted


def test_a_shard_that_does_not_name_its_classes_is_refused(tmp_path: Path) -> None:
    column = {"label": [row % 2 for row in range(COUNT)]}
    table(tmp_path / "train.parquet", column, count=COUNT, classes={"label": ["cat", "dog"]})
    table(tmp_path / "test.parquet", column, count=COUNT)
    with pytest.raises(DataError, match=r"that of .*test\.parquet does not.*data\.skip"):
        read(tmp_path)


def test_texts_in_one_shard_and_numbers_in_another_are_refused(tmp_path: Path) -> None:
    table(tmp_path / "train.parquet", {"label": animals()}, count=COUNT)
    table(tmp_path / "test.parquet", {"label": [row % 3 for row in range(COUNT)]}, count=COUNT)
    with pytest.raises(DataError, match=r"data\.label=label: it holds texts and numbers"):
        read(tmp_path, label="label")


@pytest.mark.parametrize("missing", [None, -1])
def test_rows_without_a_label_are_for_pretraining_only(missing: Any, tmp_path: Path) -> None:
    values = [missing if row % 2 else row % 4 for row in range(40)]
    path = table(tmp_path / "a.parquet", {"label": values}, count=40)
    splits = read(path)
    wanted = expected(path, values)
    labelled = {name for row, name in enumerate(wanted) if row % 2 == 0}
    assert labels_in(splits, wanted) == {name: wanted[name] for name in labelled}
    assert len(splits.pretrain) == len(splits.train) + 20
    assert (splits.pretrain.images[: len(splits.train)] == splits.train.images).all()
    assert splits.report is not None
    assert splits.report["unlabelled"] == 20


@pytest.mark.parametrize("name", ["unlabeled", "unlabelled", "unsupervised", "extra"])
def test_a_folder_without_labels_is_for_pretraining_only(name: str, tmp_path: Path) -> None:
    labelled = [*several("cat", 10), *several("dog", 10)]
    files(tmp_path, [*labelled, *several(name, 7)])
    splits = read(tmp_path)
    assert splits.classes == ("cat", "dog")
    assert len(splits.pretrain) - len(splits.train) == 7
    assert "7 images have none" in summary(splits)


def test_class_folders_are_classes_and_a_single_folder_is_none(tmp_path: Path) -> None:
    names = [*several("photos/cat", 9), *several("photos/dog/young", 9)]
    splits = read(files(tmp_path, names))
    assert labels_in(splits, names) == {name: name.split("/")[1] for name in names}
    assert "labels      folders: a folder for each class" in summary(splits)
    assert read(tmp_path / "photos" / "cat").train.labels is None


def test_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    files(tmp_path, [*several("cat", 9), *several("dog", 9), "loose.png"])
    with pytest.raises(DataError, match=r"class folders and 1 images beside.*data\.skip=\"loose"):
        read(tmp_path)
    assert read(tmp_path, skip="loose.png").classes == ("cat", "dog")
    assert read(tmp_path, label="none").train.labels is None


def test_folders_of_masks_are_refused(tmp_path: Path) -> None:
    names = [f"{kind}/{part}/{n}.png" for kind in "ab" for part in ("images", "masks")
             for n in range(9)]  # fmt: skip
    files(tmp_path, names)
    with pytest.raises(DataError, match=r"folders named masks .*data\.skip=\"\*masks/\*\""):
        read(tmp_path)
    splits = read(tmp_path, skip="*masks/*")
    assert labels_in(splits, names) == {name: name[0] for name in names if "images" in name}
    assert "skipped     18 data.skip" in summary(splits)


def test_hive_folders_are_columns(tmp_path: Path) -> None:
    names = [*several("split=train/label=a%20cat", 12), *several("split=train/label=dog", 12),
             *several("split=test/label=a%20cat", 4), *several("split=test/label=dog", 4),
             ]  # fmt: skip
    splits = read(files(tmp_path, names))
    assert splits.classes == ("a cat", "dog")
    assert labels_in(splits, names) == {n: "dog" if "dog" in n else "a cat" for n in names}
    assert len(splits.test) == 8


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "tsv"])
def test_a_metadata_file_beside_the_images_has_the_labels(suffix: str, tmp_path: Path) -> None:
    names = several("images", COUNT)
    files(tmp_path, names)
    rows = [
        {"file_name": name, "size": number, "label": kind}
        for number, (name, kind) in enumerate(zip(names, animals(), strict=True))
    ]
    target, separator = tmp_path / f"metadata.{suffix}", {"csv": ",", "tsv": "\t"}.get(suffix)
    if separator is not None:
        lines = [rows[0].keys(), *(map(str, row.values()) for row in rows)]
        target.write_text("\n".join(separator.join(line) for line in lines))
    elif suffix == "jsonl":
        target.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), target)
    splits = read(tmp_path)
    assert labels_in(splits, names) == dict(zip(names, animals(), strict=True))
    assert "the column label: a metadata file has a column named label" in summary(splits)


def test_names_without_suffixes_and_with_zeros_are_found(tmp_path: Path) -> None:
    names = [f"{number:04d}.png" for number in range(COUNT)]
    files(tmp_path, names)
    lines = [f"{name[:4]},{kind}" for name, kind in zip(names, animals(), strict=True)]
    (tmp_path / "train_labels.csv").write_text("\n".join(["id,diagnosis", *lines]))
    splits = read(tmp_path)
    assert labels_in(splits, names) == dict(zip(names, animals(), strict=True))


def test_class_folders_that_disagree_with_a_metadata_file_are_refused(tmp_path: Path) -> None:
    names = [*several("a", 12), *several("b", 12)]
    files(tmp_path, names)
    lines = [f"{name},{kind}" for name, kind in zip(names, animals(), strict=True)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    with pytest.raises(
        DataError, match=r"the class folders \(2 .*or 'label' \(3.*data\.label=label"
    ):
        read(tmp_path)
    assert read(tmp_path, label="label").classes == ("cat", "dog", "eel")
    assert read(tmp_path, skip="metadata.csv").classes == ("a", "b")


def test_a_table_that_names_no_image_is_not_used_and_said(tmp_path: Path) -> None:
    files(tmp_path, [*several("a", 9), *several("b", 9)])
    (tmp_path / "notes.csv").write_text("word,label\nx,1\ny,2\n")
    assert "note        notes.csv was not used: no column of it names the images" in summary(
        read(tmp_path)
    )
