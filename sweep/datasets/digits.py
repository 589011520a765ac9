"""scikit-learn's digits, unchanged: 8 x 8 grey; every good model reaches about 97 % on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sweep.config.models import DataConfig
from sweep.datasets._checks import refuse_path
from sweep.datasets._digits import CLASSES, base_digits, base_rows
from sweep.datasets._resize import resize
from sweep.datasets._rows import limited
from sweep.datasets.images import Split, Splits


def digits() -> Callable[[DataConfig], Splits]:
    """Return what reads the 8 x 8 grey digits of scikit-learn; it has no keys."""
    return _read


def _read(config: DataConfig) -> Splits:
    """Return the 1,797 digits as uint8 [N, 1, 8, 8], 0 to 255, split with `config.seed`.

    Args:
        config: `seed`; `validation` and `test`, shares of the digits; `limit`; `size` in pixels.

    Raises:
        DataError: a path is given, but this data set has none.
    """
    refuse_path(config, "digits")
    base, labels = base_digits()
    images = np.minimum(base[:, None].astype(np.uint16) * 16, 255).astype(np.uint8)
    if config.size is not None:
        images = resize(images, config.size)
    rows = base_rows(labels, config)
    train, validation, test = (
        Split(images=images[part], labels=labels[part])
        for part in (limited(rows.train, config), rows.validation, rows.test)
    )
    return Splits(
        pretrain=Split(images=train.images),
        train=train,
        validation=validation,
        test=test,
        classes=CLASSES,
    )
