"""Give all candidates of a table the same costs: at each fraction, the median over the table.

    python even_costs.py NAME.parquet

For a table whose candidates took equally many seconds in truth, and whose recorded seconds differ
because other processes shared the device at some times and not at others. Accuracies and measures
are not changed. The table's metadata says that it was done.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SECONDS = ("pretrain_seconds", "measure_seconds", "probe_seconds")


def even(table: pa.Table) -> pa.Table:
    """Return the table with the median seconds of each fraction in each of its rows."""
    fractions = table["fraction"].to_numpy()
    for name in SECONDS:
        seconds = table[name].to_numpy().copy()
        for fraction in np.unique(fractions):
            seconds[fractions == fraction] = np.median(seconds[fractions == fraction])
        table = table.set_column(table.column_names.index(name), name, pa.array(seconds))
    about = {**json.loads(table.schema.metadata[b"sweep"]), "costs": "median of each fraction"}
    return table.replace_schema_metadata({"sweep": json.dumps(about)})


if __name__ == "__main__":
    pq.write_table(even(pq.read_table(sys.argv[1])), sys.argv[1])
