"""What a peer spent and found: segments of training on a virtual clock, and curves of regret.

Device-seconds are charged pro rata while a trial runs. The best model so far is the best one that
was trained to its end and probed there. Before there is one, the regret is that of the worst model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from tables import Floats, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One order of one table, played by one peer.

    Args:
        table, peer, order, workers, left_out: what was played.
        candidates: how many there were.
        device_share: device-seconds of training and of all looks and probes so far, over those of
            training the candidates and probing each at its end.
        pretrain_share: device-seconds of training so far, over those of training all to the end.
        wall_share: seconds on the virtual clock so far, over the whole grid's device-seconds
            divided by the workers.
        probes: looks and probes so far.
        regret: points of accuracy between the best of the candidates and the best so far.
    """

    table: str
    peer: str
    order: int
    workers: int
    left_out: float
    candidates: int
    device_share: list[float]
    pretrain_share: list[float]
    wall_share: list[float]
    probes: list[int]
    regret: list[float]


class Ledger:
    """The segments of one order: a segment trains a candidate from one look to a later one.

    Args:
        part: the candidates of the order.
    """

    def __init__(self, part: Table) -> None:
        self.part = part
        self._reached = np.full(len(part), -1)
        self._segments: list[tuple[float, float, float]] = []
        self._finals: list[tuple[float, float]] = []

    def seconds(self, row: int, look: int) -> tuple[float, float]:
        """Return the device-seconds of training a candidate on to a look, and of its probe."""
        reached = int(self._reached[row])
        before = float(self.part.pretrain_CL[row, reached]) if reached >= 0 else 0.0
        train = float(self.part.pretrain_CL[row, look]) - before
        return train, float(self.part.probe_CL[row, look])

    def add(self, row: int, look: int, end: float) -> None:
        """Record that a candidate was trained on to a look and probed there at the time `end`."""
        if look <= self._reached[row]:
            raise ValueError(f"Candidate {row} is past look {look}, so it cannot be trained to it.")
        train, probe = self.seconds(row, look)
        self._segments.append((end, train, probe))
        self._reached[row] = look
        if look == len(self.part.fractions) - 1:
            self._finals.append((end, float(self.part.final[row])))

    def row(self, peer: str, *, order: int, workers: int, left_out: float) -> Row:
        """Return the curves: their points are the start, each end of a training, and the end."""
        end_S, train_S, probe_S = np.array(self._segments).reshape(-1, 3).T
        finals = sorted(self._finals)
        times = np.array([0.0, *(time for time, _ in finals), max(end_S, default=0.0)])
        best = np.maximum.accumulate([self.part.worst, *(found for _, found in finals)])
        regret = 100 * (self.part.final.max() - np.append(best, best[-1]))
        whole_train = float(self.part.pretrain_CL[:, -1].sum())
        whole = whole_train + float(self.part.probe_CL[:, -1].sum())
        trained = _pro_rata(times, end_S - probe_S, train_S)
        probed = _pro_rata(times, end_S, probe_S)
        return Row(
            table=self.part.name,
            peer=peer,
            order=order,
            workers=workers,
            left_out=left_out,
            candidates=len(self.part),
            device_share=((trained + probed) / whole).tolist(),
            pretrain_share=(trained / whole_train).tolist(),
            wall_share=(times * workers / whole).tolist(),
            probes=[int((end_S <= time).sum()) for time in times],
            regret=regret.tolist(),
        )


def _pro_rata(times: Floats, end_S: Floats, seconds_S: Floats) -> Floats:
    """Return the seconds spent up to each time by stretches that end at `end_S`."""
    left = end_S[None, :] - times[:, None]
    return np.asarray(np.clip(seconds_S - np.maximum(left, 0), 0, None).sum(axis=1))


def write(rows: Sequence[Row], path: Path) -> None:
    """Write rows as Parquet; rows of other tables, peers, or numbers of workers stay."""
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    if path.exists():
        old = pyarrow.parquet.read_table(path).cast(table.schema)
        new = {(row.table, row.peer, row.workers, row.left_out) for row in rows}
        keys = zip(*(old[name].to_pylist() for name in KEY), strict=True)
        table = pa.concat_tables([old.filter(pa.array([key not in new for key in keys])), table])
    pyarrow.parquet.write_table(table, path)


KEY = ("table", "peer", "workers", "left_out")
