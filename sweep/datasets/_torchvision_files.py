"""The files of torchvision's data sets, from attributes that torchvision does not document.

`train_list` and `test_list` are the only place where the MD5 sums of a set are written down. With
them a set has a digest without a read of its 170 MB. `tests/datasets/test_torchvision_files.py`
fails if a torchvision checks its files against other lists.
"""

from __future__ import annotations

from typing import Any


def checked_files(reader: Any) -> list[list[str]]:
    """Return (file name, MD5 in hexadecimal) of every data file that a data set reads.

    Args:
        reader: torchvision's class of the set, such as `torchvision.datasets.CIFAR10`.
    """
    return [*reader.train_list, *reader.test_list]
