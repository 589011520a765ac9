"""Makes the rows of a study's tables from the events of its log.

Pure: events in, Arrow tables out. A builder may start from an earlier table and continue with the
events after it; the result is the same as from the first event. The tables `trials` and `attempts`
are made in `sweep.tables.trial_rows` and `sweep.tables.attempts`. `sweep.tables.snapshots` reads
the log and keeps tables on disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import pyarrow as pa

from sweep.core.events import (
    BudgetChanged,
    CandidateAdded,
    Decided,
    Event,
    Observed,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    Suggested,
    TrialFailed,
    ZoneMoved,
)
from sweep.tables.arrow import Row, add_to, as_type, point_in_time, to_arrow, to_json
from sweep.tables.attempts import Attempts
from sweep.tables.schemas import SCHEMAS, STUDIES
from sweep.tables.trial_rows import Trials


class Builder(Protocol):
    """Builds one table."""

    def add(self, event: Event) -> None:
        """Add one event."""

    def table(self) -> pa.Table:
        """Return the table of the events so far."""


def builder(name: str, *, before: pa.Table | None = None, study: str = "") -> Builder:
    """Return a builder of the table `name`.

    Args:
        name: a key of `SCHEMAS`.
        before: the table of the events so far; by default there were none.
        study: the study's name, if `before` is given.
    """
    if name == "studies":
        return _Studies(before)
    if name == "trials":
        return Trials(before, study)
    if name == "attempts":
        return Attempts(before, study)
    return _Appended(name, before, study)


# Tables that only grow ---------------------------------------------------------------


class _Appended:
    """Builds a table in which each row comes from one event and never changes."""

    def __init__(self, name: str, before: pa.Table | None, study: str) -> None:
        self._schema = SCHEMAS[name]
        self._rows_of = _ROWS_OF[name]
        self._study = study
        self._table = self._schema.empty_table() if before is None else before
        self._rows: list[Row] = []

    def add(self, event: Event) -> None:
        if isinstance(event, StudyBegan):
            self._study = event.name
        for row in self._rows_of(event):
            row["study"] = self._study
            self._rows.append(row)

    def table(self) -> pa.Table:
        if self._rows:
            self._table = pa.concat_tables([self._table, to_arrow(self._rows, self._schema)])
            self._rows = []
            if self._table.column(0).num_chunks > 64:  # a long study would have thousands of chunks
                self._table = self._table.combine_chunks()
        return self._table


def _observation(event: Event) -> Iterator[Row]:
    if isinstance(event, Observed):
        observation = event.observation
        loss = observation.measure("loss")
        detail = {key: value for key, value in observation.detail.items() if key != "spectrum"}
        yield {
            "trial_id": event.trial_id,
            "seq": event.seq,
            "attempt": event.attempt,
            "time": point_in_time(event.time),
            "stage": observation.stage,
            "step": observation.step,
            "fraction": observation.fraction,
            "loss": loss.value if loss else None,
            "wall_seconds": observation.cost.wall_seconds,
            "device_seconds": observation.cost.device_seconds,
            "detail": to_json(detail),
        }


def _measures(event: Event) -> Iterator[Row]:
    if isinstance(event, Observed):
        observation = event.observation
        for measure in observation.measures:
            yield {
                "trial_id": event.trial_id,
                "seq": event.seq,
                "stage": observation.stage,
                "step": observation.step,
                "fraction": observation.fraction,
                "name": measure.name,
                "value": measure.value,
                "status": measure.status,
                "detail": to_json(measure.detail),
            }


def _spectrum(event: Event) -> Iterator[Row]:
    if isinstance(event, Observed) and "spectrum" in event.observation.detail:
        yield {
            "trial_id": event.trial_id,
            "step": event.observation.step,
            "fraction": event.observation.fraction,
            "eigenvalues": event.observation.detail["spectrum"],
        }


def _verdict(event: Event) -> Iterator[Row]:
    match event:
        case Decided():
            yield {"trial_id": event.trial_id, "action": event.action, "reason": event.reason,
                   **_answer(event)}  # fmt: skip
        case ZoneMoved():
            yield {"trial_id": None, "action": "zone", **_answer(event)}
        case Suggested():
            action = "begin" if event.begin else "idle"
            yield {"trial_id": event.begin, "action": action, "seq": event.seq,
                   "time": point_in_time(event.time), "reason": event.reason or event.idle,
                   "answers_seq": event.answers_seq}  # fmt: skip


def _answer(event: Decided | ZoneMoved) -> Row:
    return {
        "seq": event.seq,
        "time": point_in_time(event.time),
        "lo": event.zone.lo,
        "hi": event.zone.hi,
        "through": event.zone.through,
        "answers_seq": event.answers_seq,
    }


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
        row = self._row
        row["updated"] = point_in_time(event.time)
        match event:
            case Observed(observation=observation):
                add_to(row, "wall_seconds", observation.cost.wall_seconds)
                add_to(row, "device_seconds", observation.cost.device_seconds)
                add_to(row, "pretrained", int(observation.stage == "trained"))
                add_to(row, "probes", int(observation.stage == "probed" and observation.final))
            case CandidateAdded():
                add_to(row, "candidates")
            case TrialFailed():
                add_to(row, "failures")
            case ZoneMoved():
                row["zone_lo"], row["zone_hi"] = event.zone.lo, event.zone.hi
            case StudyBegan():
                row.update(_study(event))
            case SessionBegan():
                row.update({k: getattr(event, k) for k in ("host", "runner", "device", "workers")})
                row["status"] = "running"
                add_to(row, "sessions")
            case BudgetChanged():
                before = json.loads(row.get("config") or "{}")
                row["config"] = to_json({**before, **event.config})
            case StudyFinished(outcome=outcome):
                row.update(status="finished", winner=outcome.winner, reason=outcome.reason)

    def table(self) -> pa.Table:
        return to_arrow([self._row] if self._row else [], STUDIES)


def _study(event: StudyBegan) -> Row:
    counts = dict.fromkeys(("candidates", "pretrained", "probes", "failures", "sessions"), 0)
    return {
        "study": event.name,
        "created": point_in_time(event.created),
        "status": "created",
        "seed": as_type(event.config.get("seed"), pa.int64()),
        "commit": event.commit,
        "versions": to_json(event.versions),
        "config": to_json(event.config),
        "config_digest": event.config_digest,
        "data_digest": event.data_digest,
        "wall_seconds": 0.0,
        "device_seconds": 0.0,
        **counts,
    }
