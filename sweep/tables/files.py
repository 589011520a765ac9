"""Writes a study's tables to files that other programs read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from sweep.tables.results import Results
from sweep.tables.schemas import SCHEMAS


def write_all(results: Results, folder: Path, *, csv: bool) -> Iterator[tuple[Path, int]]:
    """Write every table of a study, and yield each file and its number of rows.

    Args:
        results: of the study.
        folder: made if need be; a file in it with a table's name is replaced.
        csv: CSV with a header, lists as JSON, in place of Parquet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        table: pa.Table = getattr(results, name)
        path = folder / f"{name}.{'csv' if csv else 'parquet'}"
        if csv:
            pa.csv.write_csv(_flat(table), path)
        else:
            pq.write_table(table, path)
        yield path, table.num_rows


def _flat(table: pa.Table) -> pa.Table:
    """Return a table with lists as JSON, because CSV has none."""
    for at, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [None if v is None else json.dumps(v) for v in table[field.name].to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table
