"""The command line that the scripts of the peers share."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from pathlib import Path

import ledger
import tables
from ledger import Ledger
from tables import Table

Play = Callable[[Table, int, int], Ledger]
"""The candidates in their order, the number of the order (the peer's seed), workers -> ledger."""


def run(peers: Callable[[Table, list[Table]], Mapping[str, Play]], about: str) -> None:
    """Parse the command line, play every peer on every table, and write the rows.

    Args:
        peers: a table and the other tables given -> name -> play.
        about: for `--help`.
    """
    parser = ArgumentParser(description=about)
    parser.add_argument("tables", nargs="+", type=Path, help="Parquet files of complete tables.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="Parquet file of curves.")
    parser.add_argument("--peers", default="", help="names, separated by commas; default all")
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 4])
    parser.add_argument("--leave-out", type=float, default=0.15)
    options = parser.parse_args()
    read = [tables.read(path) for path in options.tables]
    for table in read:
        every = peers(table, [other for other in read if other is not table])
        names = [name for name in options.peers.split(",") if name] or list(every)
        if unknown := [name for name in names if name not in every]:
            parser.error(f"there is no peer {unknown[0]}, but: {', '.join(every)}")
        for name in names:
            for workers in options.workers:
                began = time.perf_counter()
                rows = []
                for order in range(options.orders):
                    part = table.in_order(order, leave_out=options.leave_out)
                    played = every[name](part, order, workers)
                    rows.append(
                        played.row(name, order=order, workers=workers, left_out=options.leave_out)
                    )
                ledger.write(rows, options.output)
                each = (time.perf_counter() - began) / options.orders
                sys.stdout.write(
                    f"{table.name} {name} M={workers}: {each:.2f} s an order, at the end "
                    f"{rows[-1].device_share[-1]:.2f} of the device-seconds\n"
                )
                sys.stdout.flush()
