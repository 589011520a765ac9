"""The embedded data sets: scikit-learn's digits, plain and cluttered."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets import DATASETS
from sweep.datasets.images import Splits


@pytest.fixture(scope="module")
def cluttered() -> Splits:
    return DATASETS["cluttered_digits"]()(DataConfig(limit=1000))


def test_digits_equal_those_of_scikit_learn_scaled_to_0_to_255() -> None:
    splits = DATASETS["digits"]()(DataConfig())
    images = np.concatenate([splits.train.images, splits.validation.images, splits.test.images])
    assert images.shape == (1797, 1, 8, 8)
    assert images.max() == 255
    source = np.minimum(load_digits().images * 16, 255)
    np.testing.assert_array_equal(
        np.sort(images.sum(axis=(1, 2, 3))), np.sort(source.sum(axis=(1, 2)).astype(int))
    )


def test_defaults_draw_6000_2000_and_2000_images_of_32_pixels() -> None:
    splits = DATASETS["cluttered_digits"]()(DataConfig())
    assert splits.train.images.shape == (6000, 3, 32, 32)
    assert len(splits.validation) == len(splits.test) == 2000


def test_base_digits_are_split_before_they_are_drawn(cluttered: Splits) -> None:
    train, validation, test = (
        set(split.factors["base"].tolist())
        for split in (cluttered.train, cluttered.validation, cluttered.test)
    )
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(test) == round(0.2 * 1797)


def test_a_drawn_digit_has_the_label_of_its_base(cluttered: Splits) -> None:
    base = cluttered.test.factors["base"].astype(np.int64)
    np.testing.assert_array_equal(cluttered.test.labels, load_digits().target[base])


def test_a_smaller_limit_gives_the_first_images_of_a_larger_one(cluttered: Splits) -> None:
    few = DATASETS["cluttered_digits"]()(DataConfig(limit=50))
    np.testing.assert_array_equal(few.train.images, cluttered.train.images[:50])


def test_the_factor_x_agrees_with_where_the_ink_is(cluttered: Splits) -> None:
    """The centre of gravity of the deviation from the median colour correlates with factor x."""
    images = cluttered.test.images.astype(np.float64)
    contrast = np.abs(images - np.median(images, axis=(2, 3), keepdims=True)).sum(axis=1) ** 2
    centre = (contrast.sum(axis=1) * np.arange(32)).sum(axis=1) / contrast.sum(axis=(1, 2))
    assert np.corrcoef(centre, cluttered.test.factors["x"].astype(float))[0, 1] > 0.5


def test_factors_are_within_their_ranges(cluttered: Splits) -> None:
    factors = cluttered.train.factors
    assert {"x", "y", "scale", "rotation", "gain", "occlusion", "period", "first_r"} <= set(factors)
    half = factors["scale"].astype(float) / 2
    for name in ("x", "y"):
        centre = factors[name].astype(float)
        assert (centre >= half - 0.01).all()
        assert (centre <= 32 - half + 0.01).all()
    hidden = factors["occlusion"].astype(float)
    assert 0 <= hidden.min() < hidden.max() < 0.7


def test_the_same_bytes_are_drawn_on_every_machine() -> None:
    """The digest was computed by VERSION 1 with numpy 2.4.6 and scikit-learn 1.9.1."""
    splits = DATASETS["cluttered_digits"]()(DataConfig(limit=16))
    drawn = hashlib.blake2b(splits.train.images.tobytes(), digest_size=8).hexdigest()
    assert drawn == "2fe19fdeee5a9a19"


@pytest.mark.parametrize("name", ["digits", "cluttered_digits"])
def test_an_embedded_data_set_refuses_a_path(name: str) -> None:
    with pytest.raises(
        DataError, match=rf"data\.path=/photos cannot be used with data\.name={name}"
    ):
        DATASETS[name]()(DataConfig(name=name, path="/photos"))
    with pytest.raises(DataError, match=r"data\.download=true cannot be used"):
        DATASETS[name]()(DataConfig(name=name, download=True))
