"""The README's query over a large study, from the files on disk, beside bare DuckDB.

The study is real down to its log: events are written as a driver writes them (save for
one fsync in place of each), then folded into Parquet by the driver's own code.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np

from sweep.bench.timing import Figure, in_turn
from sweep.config.models import StudyConfig, digest
from sweep.core.records import Cost, Event, EventKind, Measure, Observation, Stage
from sweep.log.store import EVENTS, EventLog, encode
from sweep.tables.query import query
from sweep.tables.snapshots import Snapshots

SQL = "SELECT d, lambd, alpha, accuracy FROM trials ORDER BY accuracy DESC LIMIT 5"


def run(*, repeats: int = 9, trials: int = 100_000) -> Figure:
    """Time `SQL` through `sweep.tables.query`, and through DuckDB on the same Parquet file.

    Each repeat opens a database of its own. The baseline has neither seal nor bounds, and
    does not look at the log.

    Bar: 0.3 s.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "bench"
        folder.mkdir()
        write_study(folder, trials)
        file = folder / "tables" / "trials.parquet"
        beside = SQL.replace("FROM trials", f"FROM '{file}'")

        def ours() -> list[dict[str, float]]:
            rows: list[dict[str, float]] = query([folder], SQL).to_pylist()
            return rows

        def baseline() -> list[dict[str, float]]:
            with duckdb.connect(":memory:") as connection:
                rows: list[dict[str, float]] = connection.sql(beside).to_arrow_table().to_pylist()
                return rows

        if ours() != baseline():
            raise RuntimeError("Two ways of one query differ: this is a defect.")
        timing = in_turn(ours, baseline, repeats=repeats, device="cpu")
        return timing.figure(
            "query", device="cpu", trials=trials, log_bytes=(folder / EVENTS).stat().st_size
        )


def write_study(folder: Path, trials: int) -> None:
    """Write the log and the tables of a study whose trials are all probed."""
    with (folder / EVENTS).open("wb") as file:
        for event in _events(trials):
            file.write(encode(event))
        file.flush()
        os.fsync(file.fileno())
    with EventLog(folder) as log:
        Snapshots(log).write()


def _events(trials: int) -> Iterator[Event]:
    rng = np.random.default_rng(0)
    config = StudyConfig(name="bench")
    tree = config.model_dump(mode="json")
    began, seq = time.time(), 0

    def event(kind: EventKind, payload: dict[str, object], trial_id: str = "") -> Event:
        nonlocal seq
        seq += 1
        return Event(
            seq=seq - 1,
            time=began + seq,
            kind=kind,
            trial_id=trial_id,
            attempt=int(kind in ("start", "observation")),
            payload=payload,
        )

    yield event(
        "study",
        {
            "name": config.name,
            "config": tree,
            "config_digest": digest(tree),
            "data_digest": "",
            "versions": {},
            "commit": None,
            "created": began,
        },
    )
    cost = Cost(wall_seconds=60.0, device_seconds=60.0)
    fit = {"r2": 0.99, "first": 4, "last": 100}
    measures: dict[Stage, Measure] = {
        "trained": Measure(name="loss", value=0.0),
        "measured": Measure(name="alpha", value=0.0, detail=fit),
        "probed": Measure(name="accuracy", value=0.0),
    }
    stages = [
        Observation(stage=stage, step=1000, measures=(measure,), cost=cost).to_json()
        for stage, measure in measures.items()
    ]
    ds = 2 ** rng.integers(6, 14, trials)
    lambds = 10 ** rng.uniform(-4, 0, trials)
    values = np.stack(
        [rng.uniform(1, 99, trials), rng.normal(1, 0.3, trials), rng.uniform(0.1, 0.95, trials)], 1
    )
    for index, (d, lambd, row) in enumerate(
        zip(ds.tolist(), lambds.tolist(), values.tolist(), strict=True)
    ):
        trial_id = f"{index:010x}"
        candidate = {
            **{key: tree[key] for key in ("data", "encoder", "augment", "train", "seed")},
            "method": tree["method"] | {"d": d, "lambd": lambd},
        }
        point = {"d": d, "lambd": lambd}
        yield event("candidate", {"point": point, "config": candidate, "index": index}, trial_id)
        yield event("start", {}, trial_id)
        for stage, value in zip(stages, row, strict=True):
            taken = [stage["measures"][0] | {"value": value}]
            yield event("observation", stage | {"measures": taken}, trial_id)
