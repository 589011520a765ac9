"""scikit-learn's bundled digits and their split: what both embedded data sets start from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sweep.config.models import DataConfig
from sweep.datasets._rows import Rows, split_rows

CLASSES = tuple("0123456789")


def base_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the 1,797 digits as uint8 [N, 8, 8] in 0..16, and labels int64 [N].

    Source: UCI, "Optical Recognition of Handwritten Digits", its test part; the values
    are counts of black pixels in 4 x 4 blocks.
    """
    from sklearn.datasets import load_digits  # seconds, which a trial on a cached set is spared

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


def base_rows(labels: npt.NDArray[np.int64], config: DataConfig) -> Rows:
    """Split the digits by `config.test` and `config.validation`, each class in proportion."""
    return split_rows({"train": np.arange(len(labels))}, labels, config)
