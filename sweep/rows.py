"""From events to rows: what a study's tables say, as a fold over its log.

Pure: events in, Arrow tables out. Each builder may start from a table that an earlier
fold gave and go on with the events behind it; the result is the same as from the first
event. Reading the log and keeping tables on disk: `sweep.tables`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from sweep.config import SHORT, digest
from sweep.errors import SweepError
from sweep.records import Event
from sweep.schemas import SCHEMAS, STUDIES, TRIALS

Row = dict[str, Any]


class Stale(SweepError):
    """The table that a fold started from cannot take these events; start from the first."""


class Builder(Protocol):
    """One table under construction."""

    def add(self, event: Event) -> None:
        """Fold one event in."""

    def table(self) -> pa.Table:
        """Return the table as it stands."""


def builder(name: str, *, before: pa.Table | None = None, study: str = "") -> Builder:
    """Return a builder of the table `name`.

    Args:
        name: a key of `SCHEMAS`.
        before: the table of the events so far; by default there were none.
        study: the study's name, where `before` is given.
    """
    if name == "studies":
        return _Studies(before)
    if name == "trials":
        return _Trials(before, study)
    return _Appended(name, before, study)


# Tables that only grow ---------------------------------------------------------------


class _Appended:
    """A table whose rows follow from one event each, and never change."""

    def __init__(self, name: str, before: pa.Table | None, study: str) -> None:
        self._schema = SCHEMAS[name]
        self._rows_of = _ROWS_OF[name]
        self._study = study
        self._table = self._schema.empty_table() if before is None else before
        self._rows: list[Row] = []

    def add(self, event: Event) -> None:
        if event.kind == "study":
            self._study = event.payload["name"]
        for row in self._rows_of(event):
            row["study"] = self._study
            self._rows.append(row)

    def table(self) -> pa.Table:
        if self._rows:
            self._table = pa.concat_tables([self._table, _arrow(self._rows, self._schema)])
            self._rows = []
            if self._table.column(0).num_chunks > 64:  # else a long study ends in thousands
                self._table = self._table.combine_chunks()
        return self._table


def _observation(event: Event) -> Iterator[Row]:
    if event.kind == "observation":
        seen = event.payload
        losses = (m["value"] for m in seen["measures"] if m["name"] == "loss")
        detail = {key: value for key, value in seen["detail"].items() if key != "spectrum"}
        yield {
            "trial_id": event.trial_id,
            "seq": event.seq,
            "attempt": event.attempt,
            "time": event.time,
            "stage": seen["stage"],
            "step": seen["step"],
            "fraction": seen["fraction"],
            "loss": next(losses, None),
            **seen["cost"],
            "detail": _json(detail),
        }


def _measures(event: Event) -> Iterator[Row]:
    if event.kind == "observation":
        seen = event.payload
        for measure in seen["measures"]:
            yield {
                "trial_id": event.trial_id,
                "seq": event.seq,
                "stage": seen["stage"],
                "step": seen["step"],
                "fraction": seen["fraction"],
                "name": measure["name"],
                "value": measure["value"],
                "status": measure["status"],
                "detail": _json(measure["detail"]),
            }


def _spectrum(event: Event) -> Iterator[Row]:
    if event.kind == "observation" and "spectrum" in event.payload["detail"]:
        yield {
            "trial_id": event.trial_id,
            "step": event.payload["step"],
            "fraction": event.payload["fraction"],
            "eigenvalues": event.payload["detail"]["spectrum"],
        }


def _verdict(event: Event) -> Iterator[Row]:
    said = event.payload
    if event.kind == "verdict":
        row = {"trial_id": event.trial_id, "action": said["action"], "reason": said["reason"]}
        yield {**row, **said["zone"], **_when(event)}
    elif event.kind == "zone":
        bounds = {key: said[key] for key in ("lo", "hi", "through")}
        yield {"trial_id": None, "action": "zone", **bounds, **_when(event)}


def _when(event: Event) -> Row:
    return {"seq": event.seq, "time": event.time, "answers_seq": event.payload["answers_seq"]}


_ROWS_OF: Mapping[str, Callable[[Event], Iterator[Row]]] = {
    "observations": _observation,
    "measures": _measures,
    "spectra": _spectrum,
    "verdicts": _verdict,
}


# One row per study -------------------------------------------------------------------


class _Studies:
    def __init__(self, before: pa.Table | None) -> None:
        rows = before.to_pylist() if before is not None else []
        self._row: Row = rows[0] if rows else {}

    def add(self, event: Event) -> None:
        row, said = self._row, event.payload
        row["updated"] = event.time
        match event.kind:
            case "study":
                row.update(_study(said))
            case "session":
                row.update({k: said.get(k) for k in ("host", "runner", "device", "workers")})
                row["status"] = "running"
                _count(row, "sessions")
            case "candidate":
                _count(row, "candidates")
            case "observation":
                _count(row, "wall_seconds", said["cost"]["wall_seconds"])
                _count(row, "device_seconds", said["cost"]["device_seconds"])
                _count(row, "pretrained", int(said["stage"] == "trained"))
                ended = said["stage"] == "probed" and said["fraction"] >= 1.0
                _count(row, "probes", int(ended))
            case "failure":
                _count(row, "failures")
            case "zone":
                row["zone_lo"], row["zone_hi"] = said["lo"], said["hi"]
            case "budget":
                row["config"] = _json(json.loads(row["config"]) | said.get("config", said))
            case "finish":
                row.update(status="finished", winner=said["winner"], reason=said["reason"])

    def table(self) -> pa.Table:
        return _arrow([self._row] if self._row else [], STUDIES)


def _study(said: Mapping[str, Any]) -> Row:
    config = said["config"]
    counts = dict.fromkeys(("candidates", "pretrained", "probes", "failures", "sessions"), 0)
    return {
        "study": said["name"],
        "created": said["created"],
        "status": "created",
        "seed": _as(config.get("seed"), pa.int64()),
        "commit": said["commit"],
        "versions": _json(said["versions"]),
        "config": _json(config),
        "config_digest": said["config_digest"],
        "data_digest": said["data_digest"],
        "wall_seconds": 0.0,
        "device_seconds": 0.0,
        **counts,
    }


# One row per candidate ---------------------------------------------------------------

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
_INT64 = 2**63


class _Trials:
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
        old = _conform(self._before, schema)
        new = _arrow(list(self._rows.values()), schema)
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
        config = event.payload["config"]
        row: Row = {
            "study": self._study,
            "trial_id": trial_id,
            "index": event.payload["index"],
            "status": "pending",
            "attempt": 0,
            "winner": False,
        }
        if config:
            data = config["data"]
            row |= {
                "d": config["projector"]["d"],
                "lambd": config["objective"]["lambd"],
                "seed": _as(config["seed"], pa.int64()),
                "encoder": config["encoder"]["name"],
                "dataset": data["name"] or data["path"] or "cluttered_digits",
                "epochs": config["train"]["epochs"],
                "config_digest": digest(config),
            }
        for name, value in event.payload["point"].items():
            self._vary(row, column(name), value)
        self._rows[trial_id] = row

    def _vary(self, row: Row, name: str, value: Any) -> None:
        """Put one varied field into its column; `point_NAME` where the name is taken."""
        if name in _PARAMETERS and (fitting := _as(value, TRIALS.field(name).type)) is not None:
            row[name] = fitting
            return
        if name in TRIALS.names or name in self._criteria:
            name = f"point_{name}"
        if value is None:
            self._varied.setdefault(name, pa.null())
            return
        kind = _kind(value)
        known = self._varied.get(name, pa.null())
        wider = _wider(known, kind)
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
                raise SweepError(
                    f"Event {event.seq} ({event.kind}) is about trial {trial_id!r}, "
                    "which no candidate event names."
                )
            row = self._before.slice(position, 1).to_pylist()[0]
            self._rows[trial_id] = row
        return row

    def _observe(self, row: Row, seen: Mapping[str, Any]) -> None:
        stage, final = seen["stage"], seen["fraction"] >= 1.0
        part = _PART[stage]
        _count(row, f"{part}_seconds", seen["cost"]["wall_seconds"])
        _count(row, f"{part}_device_seconds", seen["cost"]["device_seconds"])
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

    `train.lr` is `lr`, `objective.lambd` is `lambd`, `encoder.name` is `encoder`,
    `augment.crop_min` is `augment_crop_min`; `lambda`, which SQL reserves, is `lambd`.
    """
    name = _FIELD.get(name, name).removesuffix(".name")
    return "lambd" if name == "lambda" else re.sub(r"\W", "_", name) or "_"


def _advance(row: Row, status: str) -> None:
    """A collapsed model stays one, whatever is decided about it."""
    if row["status"] not in _BROKEN:
        row["status"] = status


def _count(row: Row, name: str, amount: float = 1) -> None:
    row[name] = (row.get(name) or 0) + amount


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


# Types -------------------------------------------------------------------------------


def _as(value: Any, kind: pa.DataType) -> Any:
    """Return the value as a column's type has it, or None where it does not fit."""
    if kind == pa.string():
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == pa.float64():
        return float(value)
    return int(value) if int(value) == value and abs(value) < _INT64 else None


def _kind(value: Any) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int) and abs(value) < _INT64:
        return pa.int64()
    return pa.float64() if isinstance(value, float) else pa.string()


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds both: numbers as numbers, all else as text."""
    kinds = {one, other} - {pa.null()}
    if len(kinds) == 1:
        return kinds.pop()
    return pa.float64() if kinds == {pa.int64(), pa.float64()} else pa.string()


def _arrow(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; a key that a row lacks is null."""
    text = {field.name for field in schema if field.type == pa.string()}
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.name in text:
            values = [_text(value) for value in values]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _text(value: Any) -> str | None:
    """Return text as UTF-8 can hold it (a path may not be), and all else as JSON."""
    if value is None:
        return None
    text = value if isinstance(value, str) else _json(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with the columns it lacks, as nulls."""
    columns = [
        table[field.name]
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
