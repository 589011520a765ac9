"""The rows of a landscape's table: one for each candidate, or for each and fraction of training.

Pure: an Arrow table in, candidates out, and back. Columns:

    trial_id                    or, without it, the varied fields name the candidate
    fraction                    of training, above 0, 1 at the end; 1 where there is no column
    loss alpha                  seen there; empty or NaN means that the model diverged or collapsed
    rankme ...                  other criteria seen there; empty or NaN means not known
    accuracy test_accuracy      of the probe, 0 to 1; or all in percent: with a sign, or above 1
    accuracy_images             images of the validation split
    pretrain_seconds            device-seconds of training up to this row
    measure_seconds probe_seconds   device-seconds spent at this row
    a name such as val_acc      comes from labels: not used unless the user names the column
    anything else               a varied field, if it is one number, text or truth value
                                throughout a candidate

A text in a column of numbers is read as a number where its meaning is certain, and refused
otherwise: `sweep.replay.cells`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from sweep.core.errors import DataError, unknown_name
from sweep.core.records import Cost, Measure, Observation
from sweep.replay.cells import Reading
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.typed_rows import (
    ACCURACIES,
    CRITERIA,
    FATAL,
    SECONDS,
    read_rows,
    without_labels,
    without_unused,
)

REPLAYED_STEPS = 1000
"""Steps of a whole replayed training, because a table has fractions and no steps."""


# To a table --------------------------------------------------------------------------


def to_table(landscape: Landscape, about: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the table, as `of_table` reads it.

    The method and `about` go into the schema's metadata.
    """
    rows = [row for candidate in landscape.candidates for row in _rows(candidate)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    metadata = {"method": landscape.method, **(about or {})}
    return table.replace_schema_metadata({"sweep": json.dumps(metadata)})


def _rows(candidate: Recorded) -> Iterator[dict[str, Any]]:
    """One row for each fraction at which the candidate was looked at."""
    spent, rows = 0.0, dict[float, dict[str, Any]]()
    for seen in candidate.seen:
        row = rows.setdefault(seen.fraction, {})
        if seen.stage in ("pretrain", "trained"):
            spent += seen.cost.device_seconds
        else:
            name = "measure_seconds" if seen.stage == "measured" else "probe_seconds"
            row[name] = seen.cost.device_seconds
        row["pretrain_seconds"] = spent
        for measure in seen.measures:
            row[measure.name] = measure.value
            if measure.name == "alpha":
                row["alpha_r2"] = measure.detail.get("r2")
            if measure.name == "accuracy":
                row["accuracy_images"] = measure.detail.get("images")
    for fraction, row in sorted(rows.items()):
        fields = {**candidate.names, **candidate.point}
        yield {"trial_id": candidate.trial_id, **fields, "fraction": fraction, **row}


# From a table ------------------------------------------------------------------------


def of_table(
    name: str,
    table: pa.Table,
    *,
    columns: Mapping[str, str] | None = None,
    unfinished: bool = False,
    reading: Reading | None = None,
    criteria: Collection[str] = (),
) -> Landscape:
    """Return the candidates of a table; see the module's docstring for its columns.

    Args:
        name: of the table.
        table: its rows.
        columns: name here -> name in the table, where they differ.
        unfinished: whether candidates may lack a row at the end of training, and the table a
            column of a criterion.
        reading: how its cells are read.
        criteria: columns that hold further criteria, also where they are the same throughout a
            candidate.

    Raises:
        DataError: a column is missing, a cell is no number where one is needed, accuracies have
            two units, or a number is impossible.
    """
    columns = columns or {}
    renamed = _renamed(name, table, columns)
    own = b"sweep" in (table.schema.metadata or {})
    rows = read_rows(name, renamed, reading or Reading(), frozenset(columns), own=own)
    if not rows:
        raise DataError(f"{name} has no row.")
    known = {*CRITERIA, *criteria, *ACCURACIES, *SECONDS, "trial_id", "fraction", "accuracy_images"}
    if not unfinished and not {"alpha", "rankme", "loss"} & rows[0].keys():
        raise DataError(
            f"{name} has no criterion: no column alpha, rankme or loss. Name it with "
            "--column alpha=NAME. Columns there: " + ", ".join(rows[0])
        )
    if "accuracy" not in rows[0]:
        raise DataError(
            f"{name} has no column accuracy. Name it with --column accuracy=NAME. "
            "Columns there: " + ", ".join(rows[0])
        )
    other = without_labels(name, [key for key in rows[0] if key not in known], columns.keys())
    if not own and "trial_id" in rows[0]:  # without ids, the texts are what names a model
        other = without_unused(name, rows, other, columns.keys())
    by_key: dict[str, list[dict[str, Any]]] = {}
    varied = [key for key in other if all(is_number(row[key]) or is_name(row[key]) for row in rows)]
    for number, row in enumerate(rows, start=1):
        by_key.setdefault(_key(row, varied, number), []).append(row)
    candidates = [
        _candidate(name, key, some, other, criteria, unfinished=unfinished)
        for key, some in by_key.items()
    ]
    method = _method_in((table.schema.metadata or {}).get(b"sweep", b"{}"))
    return Landscape(name=name, candidates=tuple(candidates), method=method)


def _method_in(metadata: bytes) -> str:
    """Return the method that a table's metadata names, "" where there is none."""
    try:
        about = json.loads(metadata)
    except (ValueError, RecursionError):  # not JSON, or nested too deep
        return ""
    if not isinstance(about, dict):
        return ""
    return str(about.get("method") or method_of(about.get("config")))


def method_of(config: Any) -> str:
    """Return the method's name in a study's config, "" for training code of the user's own.

    Tables of an earlier version name the method `objective`.
    """
    if not isinstance(config, Mapping) or config.get("trial", "pretrain") != "pretrain":
        return ""
    table = config.get("method", config.get("objective"))
    return str(table.get("name") or "") if isinstance(table, Mapping) else ""


def _renamed(name: str, table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    for ours, theirs in columns.items():
        if theirs not in table.column_names:
            raise DataError(unknown_name(f"The column for {ours}", theirs, table.column_names))
        taken = ours != theirs and ours in table.column_names
        table = table.drop_columns([ours]) if taken else table
        table = table.rename_columns([ours if c == theirs else c for c in table.column_names])
    if len(set(table.column_names)) < len(table.column_names):
        raise DataError(f"{name} has two columns of one name: {', '.join(table.column_names)}.")
    return table


def _key(row: Mapping[str, Any], varied: Sequence[str], number: int) -> str:
    if row.get("trial_id") is not None:
        return str(row["trial_id"])
    if varied:
        return " ".join(
            f"{key}={row[key]:g}" if is_number(row[key]) else f"{key}={row[key]}" for key in varied
        )
    return f"row{number}"


def _candidate(
    name: str,
    key: str,
    rows: list[dict[str, Any]],
    other: Sequence[str],
    measured: Collection[str],
    *,
    unfinished: bool,
) -> Recorded:
    rows = sorted(rows, key=lambda row: _fraction(name, key, row))
    fractions = [_fraction(name, key, row) for row in rows]
    if len(set(fractions)) < len(fractions):
        raise DataError(
            f"{name} holds the candidate {key} twice. Give each its own trial_id, or remove one."
        )
    diverged = "loss" in rows[-1] and not is_number(rows[-1]["loss"])
    if fractions[-1] < 1 and not diverged and not unfinished:
        raise DataError(f"{name} has no row of the candidate {key} at the end, fraction 1.")
    fixed = {k: rows[0][k] for k in other if all(row[k] == rows[0][k] for row in rows)}
    point = {k: float(value) for k, value in fixed.items() if is_number(value)}
    names = {k: value for k, value in fixed.items() if is_name(value)}
    seen: list[Observation] = []
    before = 0.0
    for fraction, row in zip(fractions, rows, strict=True):
        costs = {part: _seconds(name, key, row, part) for part in SECONDS}
        trained = costs["pretrain_seconds"] - before
        if trained < 0:
            raise DataError(
                f"{name}: pretrain_seconds of the candidate {key} falls from {before:g} to "
                f"{costs['pretrain_seconds']:g}; it counts from the start of its training."
            )
        before = costs["pretrain_seconds"]
        criteria = [c for c in FATAL if c in row]
        criteria += [
            c for c in ("rankme", *measured, *other) if c not in point and is_number(row.get(c))
        ]
        last = row is rows[-1] and (fraction == 1 or diverged)
        seen += _observations(row, fraction, criteria, _costs(costs, trained), last=last)
    return Recorded(trial_id=key, point=point, names=names, seen=tuple(seen))


def _costs(costs: Mapping[str, float], trained: float) -> dict[str, Cost]:
    """Return the cost of each part; that of training is since the row before."""
    seconds = {"pretrain": trained, "measure": costs["measure_seconds"]}
    seconds["probe"] = costs["probe_seconds"]
    return {part: Cost(wall_seconds=s, device_seconds=s) for part, s in seconds.items()}


def _observations(
    row: Mapping[str, Any],
    fraction: float,
    criteria: Sequence[str],
    costs: Mapping[str, Cost],
    *,
    last: bool,
) -> Iterator[Observation]:
    step = max(1, round(fraction * REPLAYED_STEPS))
    loss = [_measure("loss", row["loss"])] if "loss" in row else []
    trained = Observation(
        stage="trained" if last else "pretrain",
        step=step,
        fraction=fraction,
        measures=tuple(loss),
        cost=costs["pretrain"],
    )
    yield trained
    if trained.broken:
        return
    detail = {"r2": row["alpha_r2"]} if is_number(row.get("alpha_r2")) else {}
    measured = [
        _measure(name, row[name], detail if name == "alpha" else {})
        for name in criteria
        if name != "loss"
    ]
    yield Observation(
        stage="measured",
        step=step,
        fraction=fraction,
        measures=tuple(measured),
        cost=costs["measure"],
    )
    images = _number(row.get("accuracy_images"))
    detail = {} if math.isnan(images) else {"images": int(images)}
    probed = [
        Measure(name=a, value=float(row[a]), detail=detail if a == "accuracy" else {})
        for a in ACCURACIES
        if is_number(row.get(a))
    ]
    if probed:
        yield Observation(
            stage="probed",
            step=step,
            fraction=fraction,
            measures=tuple(probed),
            cost=costs["probe"],
        )


def _measure(name: str, value: Any, detail: Mapping[str, Any] | None = None) -> Measure:
    if is_number(value):
        return Measure(name=name, value=float(value), detail=detail or {})
    reason = {"reason": "no number in the table"}
    return Measure(name=name, value=None, status="degenerate", fatal=True, detail=reason)


def _fraction(name: str, key: str, row: Mapping[str, Any]) -> float:
    value = row.get("fraction", 1.0)
    if not is_number(value) or not 0 < value <= 1:
        raise DataError(f"{name}: fraction of the candidate {key} is {value}, not above 0 to 1.")
    return float(value)


def _seconds(name: str, key: str, row: Mapping[str, Any], part: str) -> float:
    value = _number(row.get(part))
    if value < 0:
        raise DataError(f"{name}: {part} of the candidate {key} is {value:g}, but must be >= 0.")
    return 0.0 if math.isnan(value) else value


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_name(value: Any) -> bool:
    """Return whether a value is a text or a truth value."""
    return isinstance(value, str | bool)


def _number(value: Any) -> float:
    return float(value) if is_number(value) else math.nan
