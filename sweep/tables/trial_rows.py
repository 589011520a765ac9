"""The table `trials`: one row for each candidate, changed by every event about it.

Like the builders of `sweep.tables.rows` it is pure, and can continue from an earlier table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweep.config.study import digest
from sweep.core.errors import StudyError, unknown_trial
from sweep.core.events import (
    CandidateAdded,
    Decided,
    EncoderDropped,
    Event,
    Observed,
    StudyBegan,
    StudyFinished,
    TrialEvent,
    TrialFailed,
    TrialStarted,
)
from sweep.core.records import Measure, Observation, few_labels, measures_of_probe
from sweep.tables.arrow import (
    Row,
    Stale,
    add_to,
    as_type,
    common_type,
    conformed,
    finite,
    kind_of,
    to_arrow,
)
from sweep.tables.parameters import between, column, method, method_parameters, own_code, part
from sweep.tables.schemas import TRIALS

_FIXED = ("seed", "method", "encoder", "dataset", "epochs")
"""Columns of every study that may also hold a varied field."""
_MEASURES = ("loss", "alpha", "rankme", "accuracy", "test_accuracy")
_PART = {
    "pretrain": "pretrain",
    "trained": "pretrain",
    "measured": "measure",
    "probed": "probe",
    "tested": "test",
}
_STATUS = {"continue": "probing", "hold": "held", "stop": "stopped"}
_BROKEN = ("degenerate", "nonfinite")


class Trials:
    """Builds the table.

    Rows that change are dicts. Rows of `before` become dicts only when an event is about them.
    """

    def __init__(self, before: pa.Table | None, study: str) -> None:
        self._study = study
        self._before = TRIALS.empty_table() if before is None else before
        ids = self._before["trial_id"].to_pylist()
        self._position = {trial_id: row for row, trial_id in enumerate(ids)}
        self._rows: dict[str, Row] = {}
        self._winner: tuple[str | None] | None = None  # set by the study's end
        names = self._before.schema.names
        self._varied = {name: self._before.schema.field(name).type for name in between(names)}
        self._of_study: list[str] = []  # the method's parameters in the study's config
        self._criteria = names[names.index("rankme") + 1 : names.index("accuracy")]

    def add(self, event: Event) -> None:
        match event:
            case Observed():
                self._observe(self._row(event), event.observation)
            case CandidateAdded():
                self._candidate(event)
            case TrialStarted():
                row = self._row(event)
                row["attempt"] = event.attempt
                row["worker"] = event.worker or row.get("worker")
                row["log"] = event.log or row.get("log")
                if row["status"] in ("pending", "failed"):  # failed: the retries were raised
                    row["status"] = "pretraining"
            case Decided():
                row = self._row(event)
                row["reason"] = event.reason
                row["zone_lo"], row["zone_hi"] = event.zone.lo, event.zone.hi
                _advance(row, _STATUS[event.action])
            case TrialFailed():
                row = self._row(event)
                row["reason"] = event.failure.error
                if event.final:
                    _advance(row, "failed")
            case EncoderDropped():
                self._row(event)["checkpoint"] = None
            case StudyBegan():
                self._study = event.name
                self._of_study = list(method_parameters(event.config))
            case StudyFinished():
                self._winner = (event.outcome.winner,)

    def table(self) -> pa.Table:
        schema = self._schema()
        old = conformed(self._before, schema)
        new = to_arrow(list(self._rows.values()), schema)
        table = pa.concat_tables([old, new])
        if old.num_rows and new.num_rows:
            table = table.take(pa.array(self._order()))
        if self._winner is not None:
            ids = table["trial_id"]
            won = pc.equal(ids, pa.scalar(self._winner[0] or "", pa.string()))
            table = table.set_column(schema.get_field_index("winner"), schema.field("winner"), won)
        return table

    def _candidate(self, event: CandidateAdded) -> None:
        trial_id = event.trial_id
        if trial_id in self._rows or trial_id in self._position:
            return
        row: Row = {
            "study": self._study,
            "trial_id": trial_id,
            "index": event.index,
            "status": "pending",
            "attempt": 0,
            "winner": False,
        }
        if config := event.config:
            row |= {
                "seed": as_type(config.get("seed"), pa.int64()),
                "config_digest": _digest(config),
                **_of_pretraining(config),
            }
        parameters = {column(name): value for name, value in method_parameters(config).items()}
        for name, value in event.point.items():
            # The config has the parameter's own type where a point has `1` for `1.0`.
            self._vary(row, column(name), parameters.pop(column(name), value))
        for name, value in parameters.items():
            self._vary(row, f"method_{name}" if name in TRIALS.names else name, value)
        self._rows[trial_id] = row

    def _vary(self, row: Row, name: str, value: Any) -> None:
        """Put a varied field or a parameter into its column; `point_NAME` if the name is taken."""
        if name in _FIXED and (fitting := as_type(value, TRIALS.field(name).type)) is not None:
            row[name] = fitting
            return
        if name in TRIALS.names or name in self._criteria:
            name = f"point_{name}"
        if value is None:
            self._varied.setdefault(name, pa.null())
            return
        kind = kind_of(value)
        known = self._varied.get(name, pa.null())
        wider = common_type(known, kind)
        if name in self._before.schema.names and wider != known:
            raise Stale(f"{name} was {known}, but is {value!r} now")
        self._varied[name] = wider
        row[name] = value

    def _row(self, event: TrialEvent) -> Row:
        trial_id = event.trial_id
        row = self._rows.get(trial_id)
        if row is None:
            position = self._position.get(trial_id)
            if position is None:
                raise StudyError(unknown_trial(event))
            row = self._before.slice(position, 1).to_pylist()[0]
            self._rows[trial_id] = row
        return row

    def _observe(self, row: Row, observation: Observation) -> None:
        stage, cost, detail = observation.stage, observation.cost, observation.detail
        add_to(row, f"{_PART[stage]}_seconds", cost.wall_seconds)
        add_to(row, f"{_PART[stage]}_device_seconds", cost.device_seconds)
        row["fraction"] = observation.fraction
        row.update({key: detail[key] for key in ("checkpoint", "device") if key in detail})
        if stage in ("measured", "probed") and not observation.final:
            return
        for measure in observation.measures:
            if stage != "pretrain" or measure.name == "loss":
                self._measure(row, measure)
        if (fatal := observation.condemned) is not None:
            _advance(row, fatal.status)
        if stage in ("measured", "probed"):
            _advance(row, stage)
        elif row["status"] == "pending":
            row["status"] = "pretraining"

    def _measure(self, row: Row, measure: Measure) -> None:
        name, detail = column(measure.name), measure.detail
        if name == "alpha":
            row["alpha_status"] = measure.status
            row["alpha_r2"] = detail.get("r2")
            row["alpha_first"], row["alpha_last"] = detail.get("first"), detail.get("last")
        elif name == "accuracy":
            row["accuracy_se"] = detail.get("standard_error")
            row.update(_of_probe(detail))
            for number, values in few_labels(detail).items():
                for end, value in zip(("", "_lo", "_hi"), values, strict=True):
                    few = f"accuracy@few={number}{end}"
                    row[few] = value
                    if few not in self._criteria:
                        self._criteria.append(few)
        if name not in _MEASURES:
            if name in TRIALS.names or name in self._varied:
                name = f"measure_{name}"
            if name not in self._criteria:
                self._criteria.append(name)
        row[name] = measure.value

    def _schema(self) -> pa.Schema:
        # A study without candidates also has its method's columns, so that queries for them work.
        varied = self._varied or {column(name): pa.null() for name in self._of_study}
        fields: list[pa.Field] = []
        for field in TRIALS:
            fields.append(field)
            if field.name == "index":
                fields += [pa.field(name, kind) for name, kind in varied.items()]
            elif field.name == "rankme":
                fields += [pa.field(name, pa.float64()) for name in self._criteria]
        return pa.schema(fields)

    def _order(self) -> list[int]:
        """Return the order in which changed rows take their old places and new rows follow."""
        order = list(range(len(self._position)))
        for place, trial_id in enumerate(self._rows, start=len(order)):
            if trial_id in self._position:
                order[self._position[trial_id]] = place
            else:
                order.append(place)
        return order


def _of_pretraining(config: Mapping[str, Any]) -> Row:
    """Return what the built-in trial trains; only the images' place for the user's own code."""
    data = part(config, "data")
    dataset = data.get("name") or data.get("path")
    if own_code(config):
        return {"dataset": dataset if data.get("path") else None}
    return {
        "method": method(config).get("name"),
        "encoder": part(config, "encoder").get("name"),
        "dataset": dataset or "cluttered_digits",
        "epochs": as_type(part(config, "train").get("epochs"), pa.int64()),
    }


def _of_probe(detail: Mapping[str, Any]) -> Row:
    """Return the columns that the detail of an accuracy fills; none for a log without them."""
    found: Row = {"chance": as_type(detail.get("chance"), pa.float64())}
    for name, (value, low, high) in measures_of_probe(detail).items():
        found |= {name: value, f"{name}_lo": low, f"{name}_hi": high}
    if isinstance(ends := detail.get("interval"), list | tuple) and len(ends) == 2:
        found["accuracy_lo"], found["accuracy_hi"] = (as_type(e, pa.float64()) for e in ends)
    if isinstance(recall := detail.get("class_recall"), Mapping):
        found["class_recall"] = json.dumps(finite(recall), ensure_ascii=False)
    return found


def _digest(config: Mapping[str, Any]) -> str:
    try:
        return digest(config)
    except ValueError:  # infinity, which a forged log may hold
        return digest(finite(config))


def _advance(row: Row, status: str) -> None:
    """Change a trial's status; a collapsed model keeps its status."""
    if row["status"] not in _BROKEN:
        row["status"] = status
