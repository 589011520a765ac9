# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["numpy>=2,<3", "pyarrow>=20,<28"]
# ///
"""Mean curves of regret over the orders of each table, peer and number of workers."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from ledger import KEY
from tables import Floats

SHARES = np.linspace(0, 1, 101)  # of the curves that are written
WALL = np.linspace(0, 1.5, 151)
FINE = np.linspace(0, 2, 2001)  # on which the share to half a point is found
HALF = 0.5  # points


def mean_curve(rows: Sequence[dict[str, Any]], axis: str, at: Floats) -> Floats:
    """Return the mean regret at shares `at` of an axis; it falls in steps.

    Args:
        rows: as `ledger.Row`.
        axis: `device_share`, `pretrain_share` or `wall_share`.
        at: ascending shares.
    """
    curves = []
    for row in rows:
        step = np.searchsorted(row[axis], at, side="right") - 1
        curves.append(np.asarray(row["regret"])[step])
    return np.asarray(np.mean(curves, axis=0))


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean curves and figures of the orders of one table, peer and M."""
    ends = {
        f"end_{name}": float(np.mean([row[name][-1] for row in rows]))
        for name in ("regret", "device_share", "pretrain_share", "wall_share", "probes")
    }
    halves = {f"half_{axis}": _half(rows, f"{axis}_share") for axis in ("device", "wall")}
    return {
        **{name: rows[0][name] for name in KEY},
        "orders": len(rows),
        **ends,
        **halves,
        "device_curve": mean_curve(rows, "device_share", SHARES).astype(np.float32).tolist(),
        "pretrain_curve": mean_curve(rows, "pretrain_share", SHARES).astype(np.float32).tolist(),
        "wall_curve": mean_curve(rows, "wall_share", WALL).astype(np.float32).tolist(),
    }


def _half(rows: Sequence[dict[str, Any]], axis: str) -> float:
    reached = np.flatnonzero(mean_curve(rows, axis, FINE) <= HALF)
    return float(FINE[reached[0]]) if len(reached) else float("nan")


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("played", type=Path, help="Parquet file that the scripts of peers wrote.")
    parser.add_argument("-o", "--output", type=Path, help="Parquet file of the mean curves.")
    options = parser.parse_args()
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in pyarrow.parquet.read_table(options.played).to_pylist():
        groups.setdefault(tuple(row[name] for name in KEY), []).append(row)
    summaries = [summary(groups[key]) for key in sorted(groups)]
    if options.output:
        pyarrow.parquet.write_table(pa.Table.from_pylist(summaries), options.output)
    write = sys.stdout.write
    write("| table | peer | M | orders | regret | device | pretraining | probes | half | .1 |")
    write(" .2 | .3 | .5 |\n|" + "---|" * 13 + "\n")
    for row in summaries:
        at = [row["device_curve"][place] for place in (10, 20, 30, 50)]
        figures = [row["end_device_share"], row["end_pretrain_share"]]
        write(f"| {row['table']} | {row['peer']} | {row['workers']} | {row['orders']} ")
        write(f"| {row['end_regret']:.2f} | {figures[0]:.2f} | {figures[1]:.2f} ")
        write(f"| {row['end_probes']:.1f} | {row['half_device']:.2f} | ")
        write(" | ".join(f"{value:.2f}" for value in at) + " |\n")


if __name__ == "__main__":
    main()
