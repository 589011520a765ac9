"""scikit-learn's digits as they are: 8 x 8 grey, on which every good model gets about 97 %."""

from __future__ import annotations

import numpy as np

from sweep.config.models import DataConfig
from sweep.datasets._checks import refuse_options, refuse_path
from sweep.datasets._decode import resize
from sweep.datasets._digits import CLASSES, base_digits, base_rows
from sweep.datasets._rows import limited
from sweep.datasets.images import Split, Splits


def digits(config: DataConfig) -> Splits:
    """Return the 1,797 digits as uint8 [N, 1, 8, 8], 0 to 255, split by `config.seed`.

    Args:
        config: `seed`, `validation`, `test`, `limit`, `size`.

    Raises:
        DataError: a path or options are given, which it has no use for.
    """
    refuse_path(config, "digits")
    refuse_options(config, "digits")
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
