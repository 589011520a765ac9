"""Image folders and tables as studies read them that began before `data.reading = 2`."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets import bind
from sweep.datasets.first_reading.split_name import split_name
from sweep.datasets.images import Splits
from tests.datasets.fixtures import (
    NAMES,
    pictures,
    png,
    write_image_folder,
    write_parquet,
    write_shards,
)


def read(name: str, path: Path, **fields: object) -> Splits:
    given = {"name": name, "path": str(path), "reading": 1, **fields}
    config = DataConfig.model_validate(given)
    return bind(config).make()(config)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("train.parquet", "train"),
        ("train-00000-of-00002.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "validation"),
        ("val.parquet", "validation"),
        ("valid_0.parquet", "validation"),
        ("default/test/0000.parquet", "test"),
        ("train/test.parquet", "test"),
        ("testimony.parquet", None),
        ("valley.parquet", None),
        ("trainer/0.parquet", None),
        ("0000.parquet", None),
    ],
)
def test_the_path_names_the_split(path: str, name: str | None) -> None:
    assert split_name(PurePath(path)) == name


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


def test_labels_below_0_count_as_missing(tmp_path: Path) -> None:
    encoded = [png(picture) for picture in pictures(20)]
    write_parquet(tmp_path / "train.parquet", encoded, [index % 3 for index in range(20)])
    write_parquet(tmp_path / "test.parquet", encoded[:5], [-1] * 5)
    splits = read("parquet", tmp_path)
    assert splits.test.labels is None
    assert splits.train.labels is not None


def test_a_split_labelled_in_part_is_refused(tmp_path: Path) -> None:
    labels = [None if index % 2 else 1 for index in range(20)]
    write_parquet(tmp_path / "a.parquet", [png(picture) for picture in pictures(20)], labels)
    with pytest.raises(DataError, match=r"7 of 14 images in one split have no label"):
        read("parquet", tmp_path)


def test_labels_without_names_are_numbered_in_order(tmp_path: Path) -> None:
    column = pa.array([png(picture) for picture in pictures(30)], pa.binary())
    labels = pa.array([(3, 7)[index % 2] for index in range(30)])
    pq.write_table(pa.table({"image": column, "label": labels}), tmp_path / "a.parquet")
    splits = read("parquet", tmp_path)
    assert splits.classes == ("3", "7")
    assert splits.train.labels is not None
    assert set(splits.train.labels.tolist()) == {0, 1}


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
    for at in range(4, len(whole) - 8, 19):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x1F]) + whole[at + 1 :])
        try:
            read("parquet", tmp_path)
        except DataError as error:
            refused.add(str(error).partition(": ")[2][:20])
    assert len(refused) > 3, refused


def test_shards_of_the_test_split_only_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", [png(picture) for picture in pictures(5)], None)
    with pytest.raises(DataError, match=r"shards named test only"):
        read("parquet", tmp_path)


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


def test_more_than_one_percent_undecodable_is_refused(tmp_path: Path) -> None:
    whole = png(pictures(1)[0])
    encoded = [whole[:60] if index % 10 == 0 else whole for index in range(100)]
    write_parquet(tmp_path / "train.parquet", [*encoded, None], None)
    with pytest.raises(DataError, match=r"images cannot be decoded, more than 1%: train\.parquet:"):
        read("parquet", tmp_path, test=0.3)


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


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    for index in range(20):
        mode, colour = (("L", 9), ("RGBA", (9, 9, 9, 40)))[index % 2]
        Image.new(mode, (6, 6), colour).save(tmp_path / f"{index}.png")
    splits = read("imagefolder", tmp_path)
    assert splits.train.images.shape[1:] == (3, 6, 6)
    assert (splits.train.images == 9).all()


def test_an_image_folder_gives_labels_in_order_of_class_names(tmp_path: Path) -> None:
    splits = read("imagefolder", write_image_folder(tmp_path))
    assert splits.classes == NAMES
    assert len(splits.test) == 12
    eels = {picture.transpose(2, 0, 1).tobytes() for picture in pictures(4, seed=12)}
    assert splits.test.labels is not None
    images = {splits.test.images[row].tobytes() for row in np.flatnonzero(splits.test.labels == 2)}
    assert images == eels


def test_images_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    for index, picture in enumerate(pictures(20)):
        (tmp_path / f"{index}.png").write_bytes(png(picture))
    assert read("imagefolder", tmp_path).train.labels is None


def test_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path)
    (root / "train" / "loose.png").write_bytes(png(pictures(1)[0]))
    with pytest.raises(DataError, match=r"class folders and 1 images beside them"):
        read("imagefolder", root)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no images; looked for \.jpg"):
        read("imagefolder", tmp_path)
