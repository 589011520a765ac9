"""The cache of decoded data, and the fingerprint that names it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sweep.config.models import DataConfig
from sweep.core.errors import ConfigError, DataError
from sweep.datasets import DATASETS, Dataset
from sweep.datasets.cache import SPLITS, fingerprint, load
from sweep.datasets.images import Split, Splits
from tests.datasets.fixtures import (
    configure,
    pictures,
    png,
    write_image_folder,
    write_parquet,
    write_shards,
)


def invalid(*, images: str = "uint8") -> Dataset:
    """Return a data set with labels below 0, whose images have a type of one's choice."""
    split = Split(images=np.zeros((4, 3, 8, 8), images), labels=np.array([0, 1, 2, -5]))
    splits = Splits(pretrain=Split(images=split.images), train=split, validation=split, test=split)
    return lambda config: splits


def assert_equal(a: Splits, b: Splits) -> None:
    for name in SPLITS:
        first, second = getattr(a, name), getattr(b, name)
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(first.labels, second.labels)
        assert list(first.factors) == list(second.factors)
        for factor, values in first.factors.items():
            np.testing.assert_array_equal(values, second.factors[factor])
    assert a.classes == b.classes
    assert a.undecodable == b.undecodable


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_cache_returns_the_splits_of_the_data_set(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(name, tmp_path / "files", monkeypatch).model_copy(update={"limit": 20})
    assert_equal(load(config, cache=tmp_path / "cache").splits, DATASETS[name]()(config))


def test_arrays_are_read_only_maps_and_pretrain_shares_those_of_train(tmp_path: Path) -> None:
    data = load(DataConfig(name="digits"), cache=tmp_path)
    assert isinstance(data.splits.train.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        data.splits.train.images[0] = 0
    assert not (tmp_path / data.digest / "train-images.npy").exists()


def test_mean_and_std_are_computed_from_the_pretraining_pixels(tmp_path: Path) -> None:
    data = load(DataConfig(limit=50), cache=tmp_path)
    scaled = data.splits.pretrain.images / 255
    np.testing.assert_allclose(data.mean, scaled.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std, scaled.std((0, 2, 3)), rtol=1e-6)
    assert data.mean.dtype == data.std.dtype == np.float32
    assert data.shape == (3, 32, 32)


def test_the_std_of_constant_images_is_1_over_255(tmp_path: Path) -> None:
    grey = np.full((12, 12, 3), 7, np.uint8)
    write_parquet(tmp_path / "a.parquet", [png(grey)] * 20, None)
    config = DataConfig(path=str(tmp_path), reading=1)  # the second reading refuses such images
    data = load(config, cache=tmp_path / "cache")
    np.testing.assert_array_equal(data.std, np.full(3, 1 / 255, np.float32))


def test_a_second_load_decodes_nothing(tmp_path: Path) -> None:
    root = write_shards(tmp_path / "shards")
    data = load(DataConfig(path=str(root)), cache=tmp_path / "cache")
    index = tmp_path / "cache" / data.digest / "index.json"
    made = index.stat().st_mtime_ns
    assert_equal(load(DataConfig(path=str(root)), cache=tmp_path / "cache").splits, data.splits)
    assert index.stat().st_mtime_ns == made


@pytest.mark.parametrize("damage", ["index gone", "index cut", "array cut", "array gone"])
def test_a_damaged_cache_is_rebuilt(damage: str, tmp_path: Path) -> None:
    config = DataConfig(name="digits", limit=20)
    first = load(config, cache=tmp_path)
    file = tmp_path / first.digest / ("index.json" if "index" in damage else "test-images.npy")
    content = file.read_bytes()
    file.unlink()
    if "cut" in damage:
        file.write_bytes(content[: len(content) // 2])
    assert_equal(load(config, cache=tmp_path).splits, DATASETS["digits"]()(config))


def test_a_half_written_folder_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    config = DataConfig(name="digits", limit=20)
    half_written = tmp_path / f"{fingerprint(config)}.partial"
    half_written.mkdir()
    (half_written / "train-images.npy").write_bytes(b"half")
    load(config, cache=tmp_path)
    assert not half_written.exists()


def test_the_environment_variable_sets_the_folder_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "here"))
    data = load(DataConfig(name="digits"))
    assert (tmp_path / "here" / data.digest / "index.json").exists()


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"file cannot be written.*SWEEP_CACHE"):
        load(DataConfig(name="digits"), cache=tmp_path / "file")


def test_the_fingerprint_depends_on_the_content_and_not_on_the_path(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "a")
    shutil.copytree(root, tmp_path / "b")
    original, copy = (DataConfig(path=str(tmp_path / name)) for name in "ab")
    assert fingerprint(original) == fingerprint(copy)
    assert fingerprint(original) == fingerprint(original.model_copy(update={"name": "imagefolder"}))
    (tmp_path / "b" / "train" / "cat" / "000.png").write_bytes(png(pictures(1, seed=77)[0]))
    assert fingerprint(original) != fingerprint(copy)


def test_the_first_fingerprint_depends_on_the_end_of_a_long_file(tmp_path: Path) -> None:
    config = DataConfig(path=str(write_shards(tmp_path, 2000)), reading=1)
    file = next(tmp_path.rglob("train-00000*"))
    content = bytearray(file.read_bytes())
    assert len(content) > 128 * 1024
    before = fingerprint(config)
    content[-1] ^= 1
    file.write_bytes(content)
    assert fingerprint(config) != before


@pytest.mark.parametrize(
    "change", [{"size": 8}, {"limit": 9}, {"seed": 1}, {"test": 0.3}, {"validation": 0.3}]
)
def test_a_field_that_changes_the_arrays_changes_the_fingerprint(change: dict[str, float]) -> None:
    assert fingerprint(DataConfig()) != fingerprint(DataConfig.model_validate(change))


def test_an_unknown_name_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(ConfigError, match=r"The data set 'cifar' .*Did you mean 'cifar10'\?"):
        fingerprint(DataConfig(name="cifar"))


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    for name in (None, "cifar10"):
        with pytest.raises(DataError, match=r"nowhere cannot be read on this machine"):
            load(DataConfig(name=name, path=str(tmp_path / "nowhere")), cache=tmp_path)


def test_a_plug_in_with_invalid_arrays_is_refused_before_the_cache_is_written(
    tmp_path: Path,
) -> None:
    config = DataConfig(name="tests.datasets.test_cache:invalid")
    with pytest.raises(DataError, match=r"invalid', train split: a label is -5"):
        load(config, cache=tmp_path)
    with pytest.raises(DataError, match=r"images are float32 \[4, 3, 8, 8\], not uint8"):
        load(config.with_parameters({"images": "float32"}), cache=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
