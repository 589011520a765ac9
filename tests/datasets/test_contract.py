"""The contract of every data set in `DATASETS`."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.config.models import DataConfig
from sweep.core.errors import ConfigError
from sweep.datasets import bind
from sweep.datasets.images import Split, Splits

SPLITS = ("pretrain", "train", "validation", "test")


def read(config: DataConfig, **changes: object) -> Splits:
    """Read the data set that the config names, after the changes to its keys."""
    config = config.with_parameters(changes)
    return bind(config).make()(config)


def all_splits(splits: Splits) -> list[Split]:
    return [getattr(splits, name) for name in SPLITS]


def pixels(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


def test_images_are_uint8_of_one_shape_and_labels_count_from_0(member: DataConfig) -> None:
    splits = read(member)
    assert len({split.images.shape[1:] for split in all_splits(splits)}) == 1
    for split in all_splits(splits):
        assert split.images.dtype == np.uint8
        assert split.images.ndim == 4
        assert len(split) > 0
        assert all(len(values) == len(split) for values in split.factors.values())
    for split in all_splits(splits)[1:]:
        assert split.labels is not None
        assert split.labels.dtype == np.int64
        assert split.labels.shape == (len(split),)
        assert set(split.labels.tolist()) <= set(range(len(splits.classes)))


def test_pretraining_uses_every_train_image_and_no_label(member: DataConfig) -> None:
    splits = read(member)
    assert splits.pretrain.labels is None
    assert pixels(splits.train) <= pixels(splits.pretrain)


def test_no_image_of_validation_or_test_is_used_in_training(member: DataConfig) -> None:
    splits = read(member)
    if member.name == "digits":  # 8 x 8 pixels of 17 values: a few digits are identical
        return
    trained = pixels(splits.pretrain) | pixels(splits.train)
    assert not trained & (pixels(splits.validation) | pixels(splits.test))
    assert not pixels(splits.validation) & pixels(splits.test)


def test_a_seed_gives_the_same_splits_and_another_seed_gives_others(member: DataConfig) -> None:
    first, again, other = read(member), read(member), read(member, seed=1)
    for a, b in zip(all_splits(first), all_splits(again), strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        for name, values in a.factors.items():
            np.testing.assert_array_equal(values, b.factors[name])
    np.testing.assert_array_equal(first.test.labels, again.test.labels)
    assert pixels(first.validation) != pixels(other.validation)


def test_limit_applies_to_the_training_images_and_not_to_other_splits(member: DataConfig) -> None:
    whole, part = read(member), read(member, limit=10)
    assert len(part.pretrain) == len(part.train) == 10
    np.testing.assert_array_equal(part.validation.images, whole.validation.images)
    np.testing.assert_array_equal(part.test.images, whole.test.images)


def test_limit_chooses_among_the_training_images(member: DataConfig) -> None:
    assert pixels(read(member, limit=10).train) <= pixels(read(member).train)


def test_size_resizes_every_split(member: DataConfig) -> None:
    for split in all_splits(read(member, size=6, limit=10)):
        assert split.images.shape[2:] == (6, 6)


def test_a_key_that_it_does_not_have_is_refused(member: DataConfig) -> None:
    with pytest.raises(ConfigError, match=rf"data\.labell is no key of {member.name}\."):
        read(member, labell="fine")
