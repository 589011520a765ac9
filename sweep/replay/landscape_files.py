"""Landscapes on disk: read from a study's folder, a Parquet or a CSV file, written as Parquet.

The columns of a file: `sweep.replay.landscape_rows`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sweep.core.errors import DataError, UserError
from sweep.core.events import CandidateAdded, Event, Observed, StudyBegan
from sweep.core.records import Cost, Observation
from sweep.log.study_folder import read_log
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.landscape_rows import is_name, is_number, method_of, of_table, to_table
from sweep.storage.location import Address, locate
from sweep.tables.arrow import reader


def load(
    source: Address, *, columns: Mapping[str, str] | None = None, unfinished: bool = False
) -> Landscape:
    """Read a study's folder, a Parquet or a CSV file.

    Args:
        source: the path; or the address of a study on an object store.
        columns: name here -> name in the file, where they differ.
        unfinished: whether candidates of a file may lack a row at the end of training.

    Raises:
        DataError: the table cannot be read, lacks a column, holds a candidate twice, or holds
            an impossible number.
    """
    location = locate(source)
    if location.is_folder():
        if columns:
            raise DataError("A study's folder needs no column map; its columns are known.")
        return of_events(location.name, read_log(location))
    try:
        file = reader(location.read())  # Arrow cannot open a path that is not UTF-8
        if location.path.suffix == ".csv":
            table = pyarrow.csv.read_csv(file)
        else:
            table = pyarrow.parquet.read_table(file)
        _ = table.column_names  # raises here if a name is not UTF-8
    except FileNotFoundError:
        raise DataError(f"There is no table {location}.") from None
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{location} cannot be read as a table: {error}.") from error
    return of_table(location.path.stem, table, columns=columns, unfinished=unfinished)


def write(landscape: Landscape, path: Path, *, about: Mapping[str, Any]) -> None:
    """Write the table as Parquet, beside and then renamed; `UserError` if that fails."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        pyarrow.parquet.write_table(to_table(landscape, about), beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error}.") from error


def about(path: Path) -> dict[str, Any]:
    """Return what `write` was told about a Parquet table; nothing for a CSV or a foreign table.

    Raises:
        DataError: the file cannot be read.
    """
    if path.suffix == ".csv":
        return {}
    try:
        metadata = pyarrow.parquet.read_schema(reader(locate(path).read())).metadata or {}
        known = json.loads(metadata.get(b"sweep", b"{}"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error
    return known if isinstance(known, dict) else {}


def of_events(name: str, events: Sequence[Event]) -> Landscape:
    """Return what a study's trials reported, failures left out."""
    points: dict[str, Mapping[str, Any]] = {}
    seen: dict[str, dict[tuple[str, int], Observation]] = {}
    method = ""
    for event in events:
        match event:
            case StudyBegan():
                method = method_of(event.config)
            case CandidateAdded():
                points[event.trial_id] = event.point
            case Observed(observation=observation) if observation.stage != "tested":
                key = (observation.stage, observation.step)
                seen.setdefault(event.trial_id, {}).setdefault(key, observation)
    return Landscape(
        name=name,
        candidates=tuple(
            Recorded(
                trial_id=trial_id,
                point={k: float(v) for k, v in point.items() if is_number(v)},
                names={k: v for k, v in point.items() if is_name(v)},
                seen=_brief(seen[trial_id].values()),
            )
            for trial_id, point in points.items()
            if trial_id in seen
        ),
        method=method,
    )


def _brief(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Add the cost of progress to the observation after it, and leave details out.

    Progress during pretraining and spectra decide nothing.
    """
    out: list[Observation] = []
    passed = Cost()
    for seen in observations:
        if seen.stage == "pretrain":
            passed = passed + seen.cost
            continue
        if passed != Cost() and seen.stage != "trained":
            step, fraction = seen.step, seen.fraction
            out.append(Observation(stage="pretrain", step=step, fraction=fraction, cost=passed))
            passed = Cost()
        out.append(replace(seen, cost=seen.cost + passed, detail={}))
        passed = Cost()
    return tuple(out)
