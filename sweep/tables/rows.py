"""From events to rows: what a study's tables say, as a fold over its log.

Pure: events in, Arrow tables out. Each builder may start from a table that an earlier
fold gave and go on with the events behind it; the result is the same as from the first
event. The table `trials`: `sweep.tables.trial_rows`. Reading the log and keeping tables on disk:
`sweep.tables.snapshots`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa

from sweep.core.records import Event
from sweep.tables.arrow import Row, add_to, as_type, to_arrow, to_json
from sweep.tables.schemas import SCHEMAS, STUDIES
from sweep.tables.trial_rows import Trials


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
        return Trials(before, study)
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
            self._table = pa.concat_tables([self._table, to_arrow(self._rows, self._schema)])
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
            "detail": to_json(detail),
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
                "detail": to_json(measure["detail"]),
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
                add_to(row, "sessions")
            case "candidate":
                add_to(row, "candidates")
            case "observation":
                add_to(row, "wall_seconds", said["cost"]["wall_seconds"])
                add_to(row, "device_seconds", said["cost"]["device_seconds"])
                add_to(row, "pretrained", int(said["stage"] == "trained"))
                ended = said["stage"] == "probed" and said["fraction"] >= 1.0
                add_to(row, "probes", int(ended))
            case "failure":
                add_to(row, "failures")
            case "zone":
                row["zone_lo"], row["zone_hi"] = said["lo"], said["hi"]
            case "budget":
                before = json.loads(row.get("config") or "{}")
                row["config"] = to_json(before | said.get("config", said))
            case "finish":
                row.update(status="finished", winner=said["winner"], reason=said["reason"])

    def table(self) -> pa.Table:
        return to_arrow([self._row] if self._row else [], STUDIES)


def _study(said: Mapping[str, Any]) -> Row:
    config = said["config"]
    counts = dict.fromkeys(("candidates", "pretrained", "probes", "failures", "sessions"), 0)
    return {
        "study": said["name"],
        "created": said["created"],
        "status": "created",
        "seed": as_type(config.get("seed"), pa.int64()),
        "commit": said["commit"],
        "versions": to_json(said["versions"]),
        "config": to_json(config),
        "config_digest": said["config_digest"],
        "data_digest": said["data_digest"],
        "wall_seconds": 0.0,
        "device_seconds": 0.0,
        **counts,
    }
