"""A complete table of trials: what every candidate would have shown, and at what cost.

Rules are compared by replaying them over such tables (`sweep.replay`). A table comes from a
study that probed everything (rule `all`), or from any Parquet or CSV file: a row for each
candidate, or one for each candidate and fraction of its training. Columns:

    trial_id                    or, without it, the varied fields name the candidate
    fraction                    of training, above 0, 1 at the end; 1 where there is no column
    loss alpha rankme ...       criteria seen there; empty or NaN means degenerate
    accuracy test_accuracy      of the probe, 0 to 1, or in percent if any is above 1
    accuracy_images             that the validation accuracy was read from
    pretrain_seconds            device-seconds of training up to this row
    measure_seconds probe_seconds   device-seconds of this row's own
    anything else               a varied field, if it is one number throughout a candidate
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from scipy.stats import rankdata

from sweep.errors import DataError, UserError, unknown_name
from sweep.records import Cost, Event, Measure, Observation
from sweep.store import EVENTS, read

CRITERIA = ("loss", "alpha", "alpha_r2", "rankme")
ACCURACIES = ("accuracy", "test_accuracy")
SECONDS = ("pretrain_seconds", "measure_seconds", "probe_seconds")
STEPS = 1000
"""Steps that a replayed trial counts to: a table knows fractions only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """One candidate: its varied fields, and all it would report, in order, with its costs."""

    trial_id: str
    point: Mapping[str, float]
    seen: tuple[Observation, ...]

    @property
    def accuracy(self) -> float | None:
        """On the validation split at the end of training; None where it was never probed."""
        return self._final("accuracy")

    @property
    def test_accuracy(self) -> float | None:
        """Likewise on the test split."""
        return self._final("test_accuracy")

    @property
    def broken(self) -> bool:
        """True if it collapsed or diverged, so that no study would probe it."""
        return any(seen.broken for seen in self.seen)

    @property
    def pretrain_seconds(self) -> float:
        """Device-seconds of its whole training."""
        stages = ("pretrain", "trained")
        return sum(s.cost.device_seconds for s in self.seen if s.stage in stages)

    @property
    def probe_seconds(self) -> float:
        """Device-seconds of the probe at its end."""
        return sum(s.cost.device_seconds for s in self.seen if s.stage == "probed" and s.final)

    def _final(self, name: str) -> float | None:
        for seen in self.seen:
            if seen.stage == "probed" and seen.final and (measure := seen.measure(name)):
                return measure.value
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Landscape:
    """A table of candidates.

    Args:
        name: for reports.
        candidates: in the table's order.
    """

    name: str
    candidates: tuple[Recorded, ...]

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def accuracies(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Validation accuracy of each, NaN for the broken ones."""
        return np.array([_number(c.accuracy) for c in self.candidates])

    @property
    def pretrain_seconds(self) -> float:
        """Device-seconds of training everything to its end."""
        return sum(candidate.pretrain_seconds for candidate in self.candidates)

    @property
    def fractions(self) -> tuple[float, ...]:
        """Fractions below 1 at which any candidate was looked at, ascending."""
        return tuple(sorted({s.fraction for c in self.candidates for s in c.seen if not s.final}))

    @property
    def within(self) -> float:
        """What "within a point" means here: 0.01, or two standard errors where that is more."""
        best = max((c for c in self.candidates if c.accuracy is not None), key=_accuracy)
        images = next(
            (m.detail.get("images") for s in best.seen if (m := s.measure("accuracy")) and s.final),
            None,
        )
        if not images:
            return 0.01
        share = _accuracy(best)
        return max(0.01, 2 * math.sqrt(share * (1 - share) / images))

    def complete(self) -> Landscape:
        """Return self, or raise `DataError`: a simulated replay needs every accuracy."""
        missing = [c.trial_id for c in self.candidates if c.accuracy is None and not c.broken]
        if missing:
            raise DataError(
                f"{self.name} is not complete: {len(missing)} of {len(self)} candidates have no "
                f"accuracy, {missing[0]} for one. A replay cannot know what a rule would have "
                'seen; run the study with rule.name="all", or leave those candidates out.'
            )
        if not any(c.accuracy is not None for c in self.candidates):
            raise DataError(f"{self.name} holds no candidate that was probed.")
        return self

    def resampled(self, rng: np.random.Generator) -> Landscape:
        """Return as many candidates, drawn with replacement; seeds of one point stay together."""
        groups: dict[tuple[Any, ...], list[Recorded]] = {}
        for candidate in self.candidates:
            point = {name: value for name, value in candidate.point.items() if name != "seed"}
            key = tuple(sorted(point.items())) or (candidate.trial_id,)
            groups.setdefault(key, []).append(candidate)
        several = list(groups.values())
        drawn: list[Recorded] = []
        for copy, which in enumerate(rng.integers(len(several), size=len(several))):
            drawn += [replace(c, trial_id=f"{c.trial_id}.{copy}") for c in several[int(which)]]
        return replace(self, candidates=tuple(drawn))


def _accuracy(candidate: Recorded) -> float:
    return candidate.accuracy or 0.0


def load(source: str | Path, *, columns: Mapping[str, str] | None = None) -> Landscape:
    """Read a study's folder, a Parquet or a CSV file.

    Args:
        source: the path.
        columns: name here -> name in the file, where they differ.

    Raises:
        DataError: it cannot be read, lacks a column, holds a candidate twice, or a number
            that cannot be.
    """
    path = Path(source)
    if path.is_dir():
        if columns:
            raise DataError("A study's folder needs no column map; its columns are known.")
        return of_events(path.name, read(path / EVENTS)[0])
    try:
        if path.suffix == ".csv":
            table = pyarrow.csv.read_csv(path)
        else:
            table = pyarrow.parquet.read_table(path)
    except FileNotFoundError:
        raise DataError(f"There is no table {path}.") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error
    return of_table(path.stem, table, columns=columns)


# From a study ------------------------------------------------------------------------


def of_events(name: str, events: Sequence[Event]) -> Landscape:
    """Return what a study's trials reported, failures left out."""
    points: dict[str, dict[str, float]] = {}
    seen: dict[str, dict[tuple[str, int], Observation]] = {}
    for event in events:
        if event.kind == "candidate":
            given = event.payload["point"]
            points[event.trial_id] = {k: float(v) for k, v in given.items() if _is_number(v)}
        elif event.kind == "observation":
            one = Observation.from_json(event.payload)
            if one.stage != "tested":
                seen.setdefault(event.trial_id, {}).setdefault((one.stage, one.step), one)
    return Landscape(
        name=name,
        candidates=tuple(
            Recorded(trial_id=trial_id, point=point, seen=_brief(seen[trial_id].values()))
            for trial_id, point in points.items()
            if trial_id in seen
        ),
    )


def _brief(seen: Any) -> tuple[Observation, ...]:
    """Add heartbeats to what follows them, and leave spectra out: neither decides anything."""
    out: list[Observation] = []
    passed = Cost()
    for one in seen:
        if one.stage == "pretrain":
            passed = passed + one.cost
            continue
        if passed != Cost() and one.stage != "trained":
            step, fraction = one.step, one.fraction
            out.append(Observation(stage="pretrain", step=step, fraction=fraction, cost=passed))
            passed = Cost()
        out.append(replace(one, cost=one.cost + passed, detail={}))
        passed = Cost()
    return tuple(out)


def to_table(landscape: Landscape, about: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the table, as `of_table` reads it; `about` goes into the schema's metadata."""
    rows = [row for candidate in landscape.candidates for row in _rows(candidate)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    return table.replace_schema_metadata({"sweep": json.dumps(about or {})})


def write(landscape: Landscape, path: Path, *, about: Mapping[str, Any]) -> None:
    """Write the table as Parquet, beside and then renamed; `UserError` if that fails."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        pyarrow.parquet.write_table(to_table(landscape, about), beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error}.") from error


def correlations(landscape: Landscape, *, draws: int = 2000, seed: int = 0) -> pa.Table:
    """Return each criterion's rank correlation with accuracy at the end of training.

    Columns: criterion, candidates, spearman, and its 95 % interval (lo, hi) by drawing the
    candidates anew. `test_accuracy` among them says how far accuracy agrees with itself.
    """
    names = dict.fromkeys(
        m.name for c in landscape.candidates for s in c.seen if s.final for m in s.measures
    )
    rng = np.random.default_rng(seed)
    rows = []
    for name in names:
        pairs = np.array(
            [(_final(c, name), _number(c.accuracy)) for c in landscape.candidates], dtype=float
        )
        pairs = pairs[~np.isnan(pairs).any(1)]
        if name == "accuracy" or len(pairs) < 3:
            continue
        drawn = [_spearman(pairs[rng.integers(len(pairs), size=len(pairs))]) for _ in range(draws)]
        spearman = _spearman(pairs)
        known = [value for value in drawn if not math.isnan(value)] or [math.nan]
        lo, hi = np.quantile(known, [0.025, 0.975])
        rows.append(
            {"criterion": name, "candidates": len(pairs), "spearman": spearman, "lo": lo, "hi": hi}
        )
    return pa.Table.from_pylist(rows)


def pivot(landscape: Landscape, name: str) -> pa.Table | None:
    """Return a number at the end of training over (d, lambda), the mean over seeds and others.

    One row for each lambda, one column for each d; None where these two do not both vary.
    """
    cells: dict[tuple[float, float], list[float]] = {}
    for candidate in landscape.candidates:
        if {"d", "lambd"} <= candidate.point.keys():
            where = (candidate.point["lambd"], candidate.point["d"])
            cells.setdefault(where, []).append(_final(candidate, name))
    rows, columns = (sorted({where[i] for where in cells}) for i in (0, 1))
    if len(rows) < 2 or len(columns) < 2:
        return None
    return pa.Table.from_pylist(
        [
            {"lambd": row, **{f"d={c:g}": _number_or_none(cells.get((row, c))) for c in columns}}
            for row in rows
        ]
    )


def _number_or_none(values: list[float] | None) -> float | None:
    known = [value for value in values or [] if not math.isnan(value)]
    return float(f"{np.mean(known):.4g}") if known else None


def _spearman(pairs: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    a, b = rankdata(pairs[:, 0]), rankdata(pairs[:, 1])
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _final(candidate: Recorded, name: str) -> float:
    for seen in reversed(candidate.seen):
        measure = seen.measure(name) if seen.final else None
        if measure is not None:
            return _number(measure.value)
    return math.nan


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
        yield {"trial_id": candidate.trial_id, **candidate.point, "fraction": fraction, **row}


# From a table ------------------------------------------------------------------------


def of_table(name: str, table: pa.Table, *, columns: Mapping[str, str] | None = None) -> Landscape:
    """Return the candidates of a table; see the module's docstring for its columns."""
    rows = _renamed(name, table, columns or {}).to_pylist()
    if not rows:
        raise DataError(f"{name} has no row.")
    known = {*CRITERIA, *ACCURACIES, *SECONDS, "trial_id", "fraction", "accuracy_images"}
    if not {"alpha", "rankme", "loss"} & rows[0].keys():
        raise DataError(
            f"{name} has no criterion: no column alpha, rankme or loss. Name it with "
            "--column alpha=NAME. Columns there: " + ", ".join(rows[0])
        )
    if "accuracy" not in rows[0]:
        raise DataError(
            f"{name} has no column accuracy. Name it with --column accuracy=NAME. "
            "Columns there: " + ", ".join(rows[0])
        )
    other = [key for key in rows[0] if key not in known]
    scale = 100.0 if any(_number(row.get(a)) > 1 for row in rows for a in ACCURACIES) else 1.0
    found: dict[str, list[dict[str, Any]]] = {}
    varied = [key for key in other if all(_is_number(row[key]) for row in rows)]
    for number, row in enumerate(rows, start=1):
        found.setdefault(_key(row, varied, number), []).append(row)
    candidates = [_candidate(name, key, some, other, scale) for key, some in found.items()]
    return Landscape(name=name, candidates=tuple(candidates))


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
        return " ".join(f"{key}={row[key]:g}" for key in varied)
    return f"row{number}"


def _candidate(
    name: str, key: str, rows: list[dict[str, Any]], other: Sequence[str], scale: float
) -> Recorded:
    rows = sorted(rows, key=lambda row: _fraction(name, key, row))
    fractions = [_fraction(name, key, row) for row in rows]
    if len(set(fractions)) < len(fractions):
        raise DataError(
            f"{name} holds the candidate {key} twice. Give each its own trial_id, or remove one."
        )
    diverged = "loss" in rows[-1] and not _is_number(rows[-1]["loss"])
    if fractions[-1] < 1 and not diverged:
        raise DataError(f"{name} has no row of the candidate {key} at the end, fraction 1.")
    fixed = {k: float(rows[0][k]) for k in other if _is_number(rows[0][k])}
    point = {k: v for k, v in fixed.items() if all(row[k] == rows[0][k] for row in rows)}
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
        named = [c for c in (*CRITERIA[:2], "rankme") if c in row]
        named += [c for c in other if c not in point and _is_number(row[c])]
        last = row is rows[-1]
        seen += _observations(row, fraction, named, scale, _costs(costs, trained), last=last)
    return Recorded(trial_id=key, point=point, seen=tuple(seen))


def _costs(costs: Mapping[str, float], trained: float) -> dict[str, Cost]:
    """Return each part's cost, the training's since the row before."""
    seconds = {"pretrain": trained, "measure": costs["measure_seconds"]}
    seconds["probe"] = costs["probe_seconds"]
    return {part: Cost(wall_seconds=s, device_seconds=s) for part, s in seconds.items()}


def _observations(
    row: Mapping[str, Any],
    fraction: float,
    criteria: Sequence[str],
    scale: float,
    costs: Mapping[str, Cost],
    *,
    last: bool,
) -> Iterator[Observation]:
    step = max(1, round(fraction * STEPS))
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
    detail = {"r2": row["alpha_r2"]} if _is_number(row.get("alpha_r2")) else {}
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
        Measure(name=a, value=float(row[a]) / scale, detail=detail if a == "accuracy" else {})
        for a in ACCURACIES
        if _is_number(row.get(a))
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
    if _is_number(value):
        return Measure(name=name, value=float(value), detail=detail or {})
    reason = {"reason": "no number in the table"}
    return Measure(name=name, value=None, status="degenerate", detail=reason)


def _fraction(name: str, key: str, row: Mapping[str, Any]) -> float:
    value = row.get("fraction", 1.0)
    if not _is_number(value) or not 0 < value <= 1:
        raise DataError(f"{name}: fraction of the candidate {key} is {value}, not above 0 to 1.")
    return float(value)


def _seconds(name: str, key: str, row: Mapping[str, Any], part: str) -> float:
    value = _number(row.get(part))
    if value < 0:
        raise DataError(f"{name}: {part} of the candidate {key} is {value:g}, but must be >= 0.")
    return 0.0 if math.isnan(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else math.nan
