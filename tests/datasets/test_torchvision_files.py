"""The files whose sums we take for a set's content are those that torchvision checks."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from torchvision import datasets

from sweep.datasets._torchvision_files import checked_files
from tests.datasets.fixtures import write_cifar, write_stl10

COUNTS = [(datasets.CIFAR10, 6), (datasets.CIFAR100, 2), (datasets.STL10, 5)]
"""How many files hold the images and labels of each set."""


@pytest.mark.parametrize(("reader", "count"), COUNTS)
def test_every_data_file_has_a_sum(reader: type, count: int) -> None:
    files = checked_files(reader)
    assert len({name for name, _ in files}) == len(files) == count
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for _, md5 in files)


@pytest.mark.parametrize("reader", [reader for reader, _ in COUNTS])
def test_torchvision_refuses_each_file_with_another_sum(
    reader: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reader is datasets.STL10:
        write_stl10(tmp_path, monkeypatch)
    else:
        write_cifar(tmp_path, reader, monkeypatch)
    reader(tmp_path)
    for name, md5 in checked_files(reader):
        (path,) = tmp_path.glob(f"*/{name}")
        whole = path.read_bytes()
        assert hashlib.md5(whole, usedforsecurity=False).hexdigest() == md5
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(RuntimeError, match="not found or corrupted"):
            reader(tmp_path)
        path.write_bytes(whole)
