"""The bench of queries: the README's query over a large study, and DuckDB on the Parquet file.

The study has a real log: events are written as a driver writes them, but with one fsync for all
of them. The driver's own code then makes the Parquet tables from the log.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from sweep.bench.timing import Figure, in_turn
from sweep.config.study import StudyConfig, digest
from sweep.core.codec import encode
from sweep.core.events import CandidateAdded, Event, Observed, StudyBegan, TrialStarted
from sweep.core.records import Cost, Measure, Observation, Stage
from sweep.log.study_folder import EVENTS, TABLES, open_log
from sweep.storage.location import locate
from sweep.tables.query import query
from sweep.tables.snapshots import Snapshots

SQL = "SELECT d, lambd, alpha, accuracy FROM trials ORDER BY accuracy DESC LIMIT 5"


def run(*, repeats: int = 9, trials: int = 100_000) -> Figure:
    """Time `SQL` through `sweep.tables.query`, and through DuckDB on the same Parquet file.

    Each repeat opens a new database. The baseline has no limits on what SQL may do, and does not
    read the log. Wanted: at most 0.3 s.

    Args:
        repeats: timed runs of each.
        trials: trials of the study.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "bench"
        folder.mkdir()
        write_study(folder, trials)
        file = folder / TABLES / "trials.parquet"
        beside = SQL.replace("FROM trials", f"FROM '{file}'")

        def ours() -> list[dict[str, float]]:
            rows: list[dict[str, float]] = query([locate(folder)], SQL).to_pylist()
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
    with open_log(locate(folder)) as log:
        Snapshots(log).write()


def _events(trials: int) -> Iterator[Event]:
    """Yield the events of such a study, with random values from a fixed seed."""
    rng = np.random.default_rng(0)
    config = StudyConfig(name="bench")
    tree = config.model_dump(mode="json")
    began, seq = time.time(), 0

    def numbered(event: Event) -> Event:
        nonlocal seq
        seq += 1
        return replace(event, seq=seq - 1, time=began + seq)

    yield numbered(
        StudyBegan(
            name=config.name,
            config=tree,
            config_digest=digest(tree),
            data_digest="",
            versions={},
            commit=None,
            created=began,
        )
    )
    cost = Cost(wall_seconds=60.0, device_seconds=60.0)
    fit = {"r2": 0.99, "first": 4, "last": 100}
    measures: dict[Stage, Measure] = {
        "trained": Measure(name="loss", value=0.0),
        "measured": Measure(name="alpha", value=0.0, detail=fit),
        "probed": Measure(name="accuracy", value=0.0),
    }
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
        yield numbered(
            CandidateAdded(trial_id=trial_id, point=point, config=candidate, index=index)
        )
        yield numbered(TrialStarted(trial_id=trial_id, attempt=1))
        for (stage, measure), value in zip(measures.items(), row, strict=True):
            taken = (replace(measure, value=value),)
            observation = Observation(stage=stage, step=1000, measures=taken, cost=cost)
            yield numbered(Observed(trial_id=trial_id, attempt=1, observation=observation))
