"""The table `trials`: one row for each candidate, changed by every event about it.

Like all of `sweep.tables.rows` a fold over the log: pure, and able to go on from a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweep.config.models import SHORT, digest
from sweep.core.errors import StudyError, SweepError, unknown_trial
from sweep.core.records import Event
from sweep.tables.arrow import (
    Row,
    add_to,
    as_type,
    common_type,
    conformed,
    finite,
    kind_of,
    to_arrow,
)
from sweep.tables.schemas import TRIALS

_PARAMETERS = ("d", "lambd", "seed", "encoder", "dataset", "epochs")
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
_FIELD = {field: short for short, field in SHORT.items()}


class Stale(SweepError):
    """The table that a fold started from cannot take these events; start from the first."""


class Trials:
    """Rows as dicts while they change; of `before`, only those that an event speaks of."""

    def __init__(self, before: pa.Table | None, study: str) -> None:
        self._study = study
        self._before = TRIALS.empty_table() if before is None else before
        ids = self._before["trial_id"].to_pylist()
        self._position = {trial_id: row for row, trial_id in enumerate(ids)}
        self._rows: dict[str, Row] = {}
        self._winner: tuple[str | None] | None = None  # once a finish was seen
        names = self._before.schema.names
        varied = names[names.index("seed") + 1 : names.index("encoder")]
        self._varied = {name: self._before.schema.field(name).type for name in varied}
        self._criteria = names[names.index("rankme") + 1 : names.index("accuracy")]

    def add(self, event: Event) -> None:
        said = event.payload
        match event.kind:
            case "study":
                self._study = said["name"]
            case "candidate":
                self._candidate(event)
            case "start":
                row = self._row(event)
                row["attempt"] = event.attempt
                row.update({key: said[key] for key in ("worker", "log") if said.get(key)})
                if row["status"] == "pending":
                    row["status"] = "pretraining"
            case "observation":
                self._observe(self._row(event), said)
            case "verdict":
                row = self._row(event)
                row["reason"] = said["reason"]
                row["zone_lo"], row["zone_hi"] = said["zone"]["lo"], said["zone"]["hi"]
                _advance(row, _STATUS[said["action"]])
            case "failure":
                row = self._row(event)
                row["reason"] = said["error"]
                if said["final"]:
                    _advance(row, "failed")
            case "dropped":
                self._row(event)["checkpoint"] = None
            case "finish":
                self._winner = (said["winner"],)

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

    def _candidate(self, event: Event) -> None:
        trial_id = event.trial_id
        if trial_id in self._rows or trial_id in self._position:
            return
        row: Row = {
            "study": self._study,
            "trial_id": trial_id,
            "index": event.payload["index"],
            "status": "pending",
            "attempt": 0,
            "winner": False,
        }
        if config := event.payload["config"]:
            data = _part(config, "data")
            dataset = data.get("name") or data.get("path") or "cluttered_digits"
            row |= {
                "d": as_type(_part(config, "method").get("d"), pa.int64()),
                "lambd": as_type(_part(config, "method").get("lambd"), pa.float64()),
                "seed": as_type(config.get("seed"), pa.int64()),
                "encoder": _part(config, "encoder").get("name"),
                "dataset": dataset,
                "epochs": as_type(_part(config, "train").get("epochs"), pa.int64()),
                "config_digest": _digest(config),
            }
        for name, value in event.payload["point"].items():
            self._vary(row, column(name), value)
        self._rows[trial_id] = row

    def _vary(self, row: Row, name: str, value: Any) -> None:
        """Put one varied field into its column; `point_NAME` where the name is taken."""
        if name in _PARAMETERS and (fitting := as_type(value, TRIALS.field(name).type)) is not None:
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

    def _row(self, event: Event) -> Row:
        trial_id = event.trial_id
        row = self._rows.get(trial_id)
        if row is None:
            position = self._position.get(trial_id)
            if position is None:
                raise StudyError(unknown_trial(event))
            row = self._before.slice(position, 1).to_pylist()[0]
            self._rows[trial_id] = row
        return row

    def _observe(self, row: Row, seen: Mapping[str, Any]) -> None:
        stage, final = seen["stage"], seen["fraction"] >= 1.0
        part = _PART[stage]
        add_to(row, f"{part}_seconds", seen["cost"]["wall_seconds"])
        add_to(row, f"{part}_device_seconds", seen["cost"]["device_seconds"])
        row["fraction"] = seen["fraction"]
        row.update({k: seen["detail"][k] for k in ("checkpoint", "device") if k in seen["detail"]})
        if stage in ("measured", "probed") and not final:
            return
        for measure in seen["measures"]:
            if stage not in ("pretrain", "trained") or measure["name"] == "loss":
                self._measure(row, measure)
            deciding = (stage, measure["name"]) in (("trained", "loss"), ("measured", "alpha"))
            if deciding and measure["status"] in _BROKEN:
                _advance(row, measure["status"])
        if stage in ("measured", "probed"):
            _advance(row, stage)
        elif row["status"] == "pending":
            row["status"] = "pretraining"

    def _measure(self, row: Row, measure: Mapping[str, Any]) -> None:
        name, detail = column(measure["name"]), measure["detail"]
        if name == "alpha":
            row["alpha_status"] = measure["status"]
            row["alpha_r2"] = detail.get("r2")
            row["alpha_first"], row["alpha_last"] = detail.get("first"), detail.get("last")
        elif name == "accuracy":
            row["accuracy_se"] = detail.get("standard_error")
        if name not in _MEASURES:
            if name in TRIALS.names or name in self._varied:
                name = f"measure_{name}"
            if name not in self._criteria:
                self._criteria.append(name)
        row[name] = measure["value"]

    def _schema(self) -> pa.Schema:
        fields: list[pa.Field] = []
        for field in TRIALS:
            fields.append(field)
            if field.name == "seed":
                fields += [pa.field(name, kind) for name, kind in self._varied.items()]
            elif field.name == "rankme":
                fields += [pa.field(name, pa.float64()) for name in self._criteria]
        return pa.schema(fields)

    def _order(self) -> list[int]:
        """Where each row stands once the changed ones follow the old, and new ones those."""
        order = list(range(len(self._position)))
        for place, trial_id in enumerate(self._rows, start=len(order)):
            if trial_id in self._position:
                order[self._position[trial_id]] = place
            else:
                order.append(place)
        return order


def column(name: str) -> str:
    """Return the column of a field or measure: short, and a word in SQL.

    `train.lr` is `lr`, `method.lambd` is `lambd`, `encoder.name` is `encoder`,
    `augment.crop_min` is `augment_crop_min`; `lambda`, which SQL reserves, is `lambd`.
    """
    name = _FIELD.get(name, name).removesuffix(".name")
    return "lambd" if name == "lambda" else re.sub(r"\W", "_", name) or "_"


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a config, empty where a log has something else in its place."""
    part = config.get(name)
    return part if isinstance(part, dict) else {}


def _digest(config: Mapping[str, Any]) -> str:
    try:
        return digest(config)
    except ValueError:  # infinity, which a log that somebody else wrote may hold
        return digest(finite(config))


def _advance(row: Row, status: str) -> None:
    """A collapsed model stays one, whatever is decided about it."""
    if row["status"] not in _BROKEN:
        row["status"] = status
