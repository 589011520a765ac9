"""The labelled images that a budget of labels leaves to the probe."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.core.errors import ConfigError, DataError
from sweep.datasets.few_labels import with_labels
from sweep.datasets.images import Split, Splits


def split(sizes: list[int], seed: int = 0) -> Split:
    """Return images whose pixel is their number, with so many of each class, shuffled."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(images=images, labels=labels, factors={"number": np.arange(len(labels))})


def splits(train: list[int], validation: list[int]) -> Splits:
    return Splits(
        pretrain=split([50]), train=split(train), validation=split(validation, 1), test=split([9])
    )


def counts(part: Split) -> list[int]:
    assert part.labels is not None
    return [int(count) for count in np.bincount(part.labels)]


def test_both_parts_shrink_in_proportion_and_keep_the_shares_of_their_classes() -> None:
    train, validation = with_labels(splits([80, 80, 40], [40, 40, 20]), 60, seed=0)
    assert counts(train) == [16, 16, 8]
    assert counts(validation) == [8, 8, 4]


@pytest.mark.parametrize("count", range(30, 112))
def test_so_many_are_drawn_whatever_the_number(count: int) -> None:
    whole = splits([97, 2, 1], [8, 2, 2])
    train, validation = with_labels(whole, count, seed=0)
    assert len(train) + len(validation) == count
    for part, given in ((train, whole.train), (validation, whole.validation)):
        assert given.labels is not None
        numbers = part.factors["number"].astype(int)
        assert len(set(numbers.tolist())) == len(part)
        np.testing.assert_array_equal(part.labels, given.labels[numbers])
        np.testing.assert_array_equal(part.images, given.images[numbers])
        assert min(counts(part)) >= 1
        assert len(counts(part)) == 3


def test_the_same_seed_draws_the_same_images_and_another_seed_others() -> None:
    whole = splits([80, 80], [20, 20])
    numbers = [
        with_labels(whole, 50, seed=seed)[0].factors["number"].tolist() for seed in (0, 0, 1)
    ]
    assert numbers[0] == numbers[1] != numbers[2]


def test_no_budget_is_all_labels() -> None:
    whole = splits([80, 80], [20, 20])
    assert with_labels(whole, None, seed=0) == (whole.train, whole.validation)


def test_too_few_and_too_many_are_a_sentence() -> None:
    whole = splits([80, 80], [20, 20])
    few = r"budget\.labels is 19, and there are 2 classes: .* at least 10 .* to 20 or more"
    with pytest.raises(ConfigError, match=few):
        with_labels(whole, 19, seed=0)
    many = r"budget\.labels is 201, and there are 200 labelled images .* to 200 or less"
    with pytest.raises(DataError, match=many):
        with_labels(whole, 201, seed=0)
    assert sum(len(part) for part in with_labels(whole, 200, seed=0)) == 200
