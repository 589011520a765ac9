"""Parquet tables, image folders and torchvision's files: which are read, and which are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets import DATASETS, bind, detect
from sweep.datasets._resize import resize
from sweep.datasets.images import Splits
from sweep.datasets.torchvision_sets import reader
from tests.datasets.fixtures import (
    NAMES,
    pictures,
    png,
    write_cifar,
    write_image_folder,
    write_parquet,
    write_shards,
    write_stl10,
)


def read(name: str, path: Path, **fields: object) -> Splits:
    config = DataConfig.model_validate({"name": name, "path": str(path), **fields})
    return bind(config).make()(config)


def test_parquet_returns_exactly_the_pixels_and_labels_of_the_table(tmp_path: Path) -> None:
    file = tmp_path / "images.parquet"
    source = pictures(50)
    write_parquet(file, [png(picture) for picture in source], [index % 3 for index in range(50)])
    splits = read("parquet", file)
    assert splits.classes == NAMES
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [36, 4, 10]
    index = {picture.transpose(2, 0, 1).tobytes(): row for row, picture in enumerate(source)}
    for split in (splits.train, splits.validation, splits.test):
        rows = [index[image.tobytes()] for image in split.images]
        assert split.labels is not None
        assert split.labels.tolist() == [row % 3 for row in rows]


def test_names_of_shards_give_their_splits(tmp_path: Path) -> None:
    splits = read("parquet", write_shards(tmp_path))
    assert len(splits.test) == 12
    assert len(splits.train) + len(splits.validation) == 60
    expected = {picture.transpose(2, 0, 1).tobytes() for picture in pictures(12, seed=2)}
    assert {image.tobytes() for image in splits.test.images} == expected


def test_a_table_of_plain_bytes_without_labels_is_enough_to_pretrain(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    column = pa.array([png(picture) for picture in pictures(20)], pa.binary())
    pq.write_table(pa.table({"jpg": column}), file)
    splits = read("parquet", file)
    assert splits.train.labels is None
    assert splits.classes == ()


def test_keys_name_the_columns(tmp_path: Path) -> None:
    encoded = pa.array([png(picture) for picture in pictures(30)], pa.binary())
    two = pa.table({"a": encoded, "b": encoded, "fine": [0, 1] * 15, "coarse": [0] * 30})
    pq.write_table(two, tmp_path / "a.parquet")
    splits = read("parquet", tmp_path, image="b", label="fine")
    assert splits.classes == ("0", "1")
    with pytest.raises(DataError, match=r"several columns of images.*data\.image=a"):
        read("parquet", tmp_path)
    with pytest.raises(DataError, match=r"'fin' is not known\. Did you mean 'fine'\?"):
        read("parquet", tmp_path, image="b", label="fin")


def test_parquet_without_images_is_refused_and_its_columns_are_listed(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column of images.*text \(string\), n \(int64\)"):
        read("parquet", tmp_path)


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        read("parquet", tmp_path)


def test_a_damaged_parquet_is_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    encoded = png(pictures(1)[0])
    column = pa.array([{"bytes": encoded, "path": str(n)} for n in range(20)])
    pq.write_table(pa.table({"image": column, "label": [n % 2 for n in range(20)]}), file)
    whole = file.read_bytes()
    refused = set()
    for at in range(4, len(whole) - 8, 3):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x1F]) + whole[at + 1 :])
        try:
            read("parquet", tmp_path)
        except DataError as error:
            refused.add(str(error).partition(": ")[2][:20])
    assert len(refused) > 3, refused


def test_a_label_without_a_class_name_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [png(p) for p in pictures(12)], [0, 1, 3] * 4)
    with pytest.raises(DataError, match=r"holds the label 3, but the metadata names 3 classes"):
        read("parquet", tmp_path)


def test_an_undecodable_image_is_named_and_left_out(tmp_path: Path) -> None:
    encoded: list[bytes | None] = [png(picture) for picture in pictures(400)]
    encoded[7] = b"not an image"
    write_parquet(tmp_path / "train.parquet", encoded, [index % 3 for index in range(400)])
    write_parquet(tmp_path / "test.parquet", encoded[100:110], [0] * 10)
    splits = read("parquet", tmp_path, validation=0.3)
    assert splits.undecodable == ("train.parquet:7",)
    assert len(splits.train) + len(splits.validation) == 399
    for split in (splits.train, splits.validation):
        assert split.labels is not None
        assert len(split.labels) == len(split)


def test_mixed_sizes_need_data_size(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path)
    Image.new("RGB", (20, 10)).save(root / "train" / "cat" / "wide.png")
    with pytest.raises(DataError, match=r"20x10, 12x12 \(width x height\).*data\.size=PIXELS"):
        read("imagefolder", root)
    assert read("imagefolder", root, size=8).train.images.shape[1:] == (3, 8, 8)


def test_sizes_that_differ_between_splits_need_data_size(tmp_path: Path) -> None:
    encoded = [png(picture) for picture in pictures(20)]
    write_parquet(tmp_path / "train.parquet", encoded, None)
    write_parquet(tmp_path / "test.parquet", [png(p) for p in pictures(5, side=9)], None)
    with pytest.raises(DataError, match=r"9x9, 12x12"):
        read("parquet", tmp_path)


def test_resizing_an_array_equals_pillow() -> None:
    source = pictures(3)
    wanted = [
        np.asarray(Image.fromarray(p).resize((5, 5), Image.Resampling.BICUBIC)) for p in source
    ]
    resized = resize(np.ascontiguousarray(source.transpose(0, 3, 1, 2)), 5)
    np.testing.assert_array_equal(resized.transpose(0, 2, 3, 1), np.stack(wanted))


def test_an_image_folder_gives_labels_in_order_of_class_names(tmp_path: Path) -> None:
    splits = read("imagefolder", write_image_folder(tmp_path))
    assert splits.classes == NAMES
    assert len(splits.test) == 12
    eels = {picture.transpose(2, 0, 1).tobytes() for picture in pictures(4, seed=12)}
    assert splits.test.labels is not None
    images = {splits.test.images[row].tobytes() for row in np.flatnonzero(splits.test.labels == 2)}
    assert images == eels


def test_stl10_pretrains_on_unlabelled_and_train_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = read("stl10", write_stl10(tmp_path, monkeypatch), size=24)
    assert len(splits.train) == 36
    assert len(splits.pretrain) == 96
    assert splits.pretrain.images.shape[1:] == (3, 24, 24)


def test_cifar_pixels_are_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = read("cifar10", write_cifar(tmp_path, reader("cifar10"), monkeypatch))
    expected = pictures(30, 99, side=32).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(splits.test.images, expected)


def test_a_damaged_file_of_torchvision_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_cifar(tmp_path, reader("cifar10"), monkeypatch)
    (root / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"does not hold cifar10 .*data\.download=true"):
        read("cifar10", root)


@pytest.mark.parametrize("name", ["cifar10", "imagefolder", "parquet", "stl10"])
def test_a_missing_path_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path=.*nowhere cannot be read on this machine"):
        read(name, tmp_path / "nowhere")
    with pytest.raises(DataError, match=rf"data\.name={name} needs the folder of its files"):
        DATASETS[name]()(DataConfig(name=name))


def test_the_data_set_at_a_path_is_detected_from_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert detect(DataConfig()) == "cluttered_digits"
    for name, root in {
        "parquet": write_shards(tmp_path / "a"),
        "imagefolder": write_image_folder(tmp_path / "b"),
        "cifar10": write_cifar(tmp_path / "c", reader("cifar10"), monkeypatch),
        "cifar100": write_cifar(tmp_path / "d", reader("cifar100"), monkeypatch),
        "stl10": write_stl10(tmp_path / "e", monkeypatch),
    }.items():
        assert detect(DataConfig(path=str(root))) == name
    inside = tmp_path / "c" / "cifar-10-batches-py"
    assert detect(DataConfig(path=str(inside))) == "cifar10"
    file = next((tmp_path / "a").rglob("*.parquet"))
    assert detect(DataConfig(path=str(file))) == "parquet"


def test_a_path_without_a_known_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no images")
    with pytest.raises(DataError, match=r"looked for \.parquet files, cifar-10-batches-py/"):
        detect(DataConfig(path=str(tmp_path)))
