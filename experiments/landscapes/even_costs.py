"""Give all candidates of a table the same costs: at each fraction, the median over the table.

    python even_costs.py NAME.parquet [--like OTHER.parquet --by FIELD]

For a table whose candidates took equally many seconds in truth, and whose recorded seconds differ
because other processes shared the device or the cores at some times and not at others. With
`--like`, the costs are those of another run of the same models: its median training, for each
value of FIELD, times the fraction, and its median look. Accuracies and measures are not changed.
The table's metadata says that it was done.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
LOOKS = ("measure_seconds", "probe_seconds")
SECONDS = ("pretrain_seconds", *LOOKS)


def even(table: pa.Table) -> pa.Table:
    """Return the table with the median seconds of each fraction in each of its rows."""
    fractions = table["fraction"].to_numpy()
    costs = {name: table[name].to_numpy().copy() for name in SECONDS}
    for seconds in costs.values():
        for fraction in np.unique(fractions):
            seconds[fractions == fraction] = np.median(seconds[fractions == fraction])
    return _with_costs(table, costs, "median of each fraction")


def even_like(table: pa.Table, other: pa.Table, by: str) -> pa.Table:
    """Return the table with the costs of another run.

    Args:
        table: of a landscape.
        other: the table of a run of the same models, with other looks.
        by: a column on whose values the seconds of a training depend.
    """
    fractions, groups = table["fraction"].to_numpy(), table[by].to_numpy()
    whole = np.empty(len(table))
    at_end, others = other["fraction"].to_numpy() == 1, other[by].to_numpy()
    for group in np.unique(groups):
        seconds = other["pretrain_seconds"].to_numpy()[at_end & (others == group)]
        whole[groups == group] = np.median(seconds)
    costs = {name: np.full(len(table), np.median(other[name].to_numpy())) for name in LOOKS}
    costs["pretrain_seconds"] = whole * fractions
    return _with_costs(table, costs, f"median of an earlier run, for each {by}")


def _with_costs(table: pa.Table, costs: Mapping[str, Floats], how: str) -> pa.Table:
    for name, seconds in costs.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(seconds))
    about = {**json.loads(table.schema.metadata[b"sweep"]), "costs": how}
    return table.replace_schema_metadata({"sweep": json.dumps(about)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("--like")
    parser.add_argument("--by", default="d")
    arguments = parser.parse_args()
    table = pq.read_table(arguments.table)
    if arguments.like is None:
        table = even(table)
    else:
        table = even_like(table, pq.read_table(arguments.like), arguments.by)
    pq.write_table(table, arguments.table)


if __name__ == "__main__":
    main()
