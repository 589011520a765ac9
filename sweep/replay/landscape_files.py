"""Landscapes on disk: read from a study's folder, a Parquet or a CSV file, written as Parquet.

The columns of a file: `sweep.replay.landscape_rows`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from sweep.core.errors import DataError, StudyWarning, UserError
from sweep.core.events import CandidateAdded, Event, Observed, StudyBegan
from sweep.core.outcome import Z95
from sweep.core.records import Cost, Measure, Observation, maximised
from sweep.log.study_folder import read_log
from sweep.replay.cells import Reading
from sweep.replay.csv_file import read_csv
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.landscape_rows import is_name, is_number, method_of, of_table, to_table
from sweep.replay.presets import translate
from sweep.replay.trials_table import is_trials, of_trials
from sweep.storage.location import Address, locate
from sweep.tables.arrow import reader


def load(
    source: Address,
    *,
    columns: Mapping[str, str] | None = None,
    unfinished: bool = False,
    reading: Reading | None = None,
    tool: str | None = None,
) -> Landscape:
    """Read a study's folder, a Parquet or a CSV file.

    Args:
        source: the path; or the address of a study on an object store.
        columns: name here -> name in the file, where they differ.
        unfinished: whether candidates of a file may lack a row at the end of training.
        reading: how the cells of a file are read.
        tool: that exported the file: wandb, optuna or mlflow.

    Raises:
        DataError: the table cannot be read, lacks a column, holds a candidate twice, or holds
            an impossible number.
    """
    location = locate(source)
    if location.is_folder():
        if columns or tool or reading not in (None, Reading()):
            raise DataError(
                "A study's folder needs no --column, --unit, --skip-bad or --from; its columns "
                "are known."
            )
        return of_events(location.name, read_log(location))
    reading = reading or Reading()
    try:
        data = location.read()
        if location.path.suffix == ".csv":
            table, delimiter = read_csv(str(location), data)
            reading = replace(reading, decimal_comma=delimiter != ",")
        else:
            table = pyarrow.parquet.read_table(reader(data))  # it opens only paths in UTF-8
        _ = table.column_names  # raises here if a name is not UTF-8
    except FileNotFoundError:
        raise DataError(f"There is no table {location}.") from None
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{location} cannot be read as a table: {error}.") from error
    if tool is not None:
        table, left_out = translate(str(location), table, tool)
        if left_out:
            warnings.warn(
                f"{location}: {left_out} runs did not end well, and are left out.",
                StudyWarning,
                stacklevel=2,
            )
    method, criteria = "", list[str]()
    if is_trials(table):
        table, method, criteria = of_trials(str(location), table)
    landscape = of_table(
        location.path.stem,
        table,
        columns=columns,
        unfinished=unfinished,
        reading=reading,
        criteria=criteria,
    )
    return replace(landscape, method=landscape.method or method)


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
    """Return what a study's trials reported, failures left out.

    The accuracy of a candidate is what the study maximised (`probe.metric`). A warning names the
    metric where it is another measure.
    """
    points: dict[str, Mapping[str, Any]] = {}
    seen: dict[str, dict[tuple[str, int], Observation]] = {}
    method, metrics = "", set[str]()
    for event in events:
        match event:
            case StudyBegan():
                method = method_of(event.config)
            case CandidateAdded():
                points[event.trial_id] = event.point
            case Observed(observation=observation) if observation.stage != "tested":
                key = (observation.stage, observation.step)
                seen.setdefault(event.trial_id, {}).setdefault(key, observation)
                metrics |= {m.detail["maximised"] for m in observation.measures if maximised(m)}
    for metric in sorted(metrics):
        warnings.warn(
            f"{name} maximised {metric} (probe.metric): in its table, accuracy is {metric}.",
            StudyWarning,
            stacklevel=2,
        )
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
        measures = tuple(_of_metric(measure) for measure in seen.measures)
        out.append(replace(seen, measures=measures, cost=seen.cost + passed, detail={}))
        passed = Cost()
    return tuple(out)


def _of_metric(measure: Measure) -> Measure:
    """Return an accuracy with the value of `probe.metric`, if that is another measure.

    Its images are as many as a proportion with the same interval would need.
    """
    if (found := maximised(measure)) is None:
        return measure
    value, low, high = found
    error = (high - low) / (2 * Z95)
    known = 0 < value < 1 and error > 0
    detail = {"images": max(1, round(value * (1 - value) / error**2))} if known else {}
    return replace(measure, value=value, detail=detail)
