"""Images from another person: reading them runs no code of theirs."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from torchvision import datasets

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._torchvision_files import checked_files
from sweep.datasets.cache import load
from sweep.replay.landscape_files import load as load_table
from tests.datasets.fixtures import pictures, png
from tests.safety.attacks import Attack, attack_ran


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_pickles_in_place_of_cifar_files_are_refused(name: str, tmp_path: Path) -> None:
    reader = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    folder = tmp_path / reader.base_folder
    folder.mkdir()
    files = [*checked_files(reader), [reader.meta["filename"], ""]]
    for file, _ in files:
        (folder / file).write_bytes(pickle.dumps(Attack(tmp_path)))
    with pytest.raises(DataError, match=f"does not hold {name} as torchvision keeps it"):
        load(DataConfig(path=str(tmp_path)), cache=tmp_path / "cache")
    assert not attack_ran(tmp_path)


def test_the_class_in_a_columns_metadata_is_not_unpickled(tmp_path: Path) -> None:
    """Older versions of Arrow unpickled this class while they read the schema."""
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Attack(tmp_path)),
    }
    images = [png(picture) for picture in pictures(60)]
    field = pa.field("image", pa.binary(), metadata=metadata)
    number = pa.field("alpha", pa.float64(), metadata=metadata)
    schema = pa.schema([field, pa.field("label", pa.int64()), number])
    rows = [images, [n % 2 for n in range(60)], [n / 60 for n in range(60)]]
    table = pa.table(rows, schema=schema)
    pq.write_table(table, tmp_path / "images.parquet")
    stored = pq.read_metadata(tmp_path / "images.parquet").metadata[b"ARROW:schema"]
    assert b"arrow.py_extension_type" in base64.b64decode(stored)
    data = load(DataConfig(path=str(tmp_path / "images.parquet")), cache=tmp_path / "cache")
    assert len(data.splits.pretrain) > 0
    with pytest.raises(DataError, match="has no column accuracy"):
        load_table(tmp_path / "images.parquet")
    assert not attack_ran(tmp_path)


def test_a_cache_with_pickles_in_it_is_rebuilt(tmp_path: Path) -> None:
    config = DataConfig(name="digits")
    folder = tmp_path / load(config, cache=tmp_path).digest
    for path in folder.glob("*.npy"):
        size = path.stat().st_size
        np.save(path, np.array([Attack(tmp_path)], dtype=object), allow_pickle=True)
        path.write_bytes(path.read_bytes().ljust(size, b"\0")[:size])
    data = load(config, cache=tmp_path)
    assert data.splits.pretrain.images.dtype == np.uint8
    assert not attack_ran(tmp_path)
