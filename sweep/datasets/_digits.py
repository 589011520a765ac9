"""scikit-learn's digits and their split, which both embedded data sets are made from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sweep.config.models import DataConfig
from sweep.datasets._rows import Rows, split_rows

CLASSES = tuple("0123456789")


def base_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the 1,797 digits as uint8 [N, 8, 8] in 0..16, and their labels, int64 [N].

    Source: UCI, "Optical Recognition of Handwritten Digits", test set. A value is the number of
    black pixels in a block of 4 x 4.
    """
    from sklearn.datasets import load_digits  # takes seconds; a trial with cached data skips it

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


def base_rows(labels: npt.NDArray[np.int64], config: DataConfig) -> Rows:
    """Split the digits by `config.test` and `config.validation`, in equal shares of each class."""
    return split_rows({"train": np.arange(len(labels))}, labels, config)
