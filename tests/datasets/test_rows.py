"""Row numbers of the splits."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._rows import Indices, Name, limited, split_rows


def test_shares_are_exact_for_each_class() -> None:
    labels = np.repeat([0, 1, 2], [500, 300, 200])
    config = DataConfig(test=0.2, validation=0.25)
    rows = split_rows({"train": np.arange(1000)}, labels, config)
    assert np.bincount(labels[rows.test]).tolist() == [100, 60, 40]
    assert np.bincount(labels[rows.validation]).tolist() == [100, 60, 40]
    assert np.bincount(labels[rows.train]).tolist() == [300, 180, 120]
    everything = np.concatenate([rows.train, rows.validation, rows.test])
    assert sorted(everything) == list(range(1000))


def test_a_test_split_of_the_data_is_kept_and_validation_is_drawn_from_train() -> None:
    given: dict[Name, Indices] = {"train": np.arange(100), "test": np.arange(100, 130)}
    rows = split_rows(given, None, DataConfig(validation=0.1))
    assert rows.test.tolist() == list(range(100, 130))
    assert len(rows.validation) == 10
    assert rows.validation.max() < 100


def test_limit_draws_rows_in_order_without_repeats() -> None:
    drawn = limited(np.arange(100), DataConfig(limit=30))
    assert len(set(drawn.tolist())) == 30
    assert drawn.tolist() == sorted(drawn)


def test_too_few_images_to_split_are_refused() -> None:
    with pytest.raises(DataError, match=r"validation split would be empty: there are 4 training"):
        split_rows({"train": np.arange(4)}, None, DataConfig(test=0.3))
