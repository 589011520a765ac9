"""What a study came to, in lines and tables for a person. Pure: it prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sweep.core.errors import StudyError, unknown_name
from sweep.core.history import History
from sweep.core.outcome import Outcome
from sweep.core.records import Event, Observation
from sweep.core.text import one_line, to_text
from sweep.log.log import salvage
from sweep.log.study_folder import log_of, trial_folder
from sweep.tables.results import Results


def of_study(found: Results, outcome: Outcome) -> list[str]:
    """Return the best five, the counts, the zone, the probes, the winner and what to type next."""
    lines = [to_text(best_trials(found, 5), "table"), "", *of_trials(found)]
    lines.append(f"zone    alpha in {outcome.zone}")
    if outcome.zone.note:
        lines.append(f"note    {outcome.zone.note}")
    lines.append(f"probes  {outcome.probes_paid} paid, {outcome.probes_saved} saved")
    lines.append(f"end     {outcome.reason}")
    lines.append(_winner(outcome))
    lines.append("")
    sql = "SELECT d, lambd, alpha, accuracy FROM trials"
    lines.append(f'Query   sweep query {found.location} "{sql}"')
    if outcome.winner is not None:
        lines.append(f"Export  sweep export {found.location} -o encoder.safetensors")
    return lines


def of_trials(found: Results) -> list[str]:
    """Return how many trials have which status, and what failed, by cause and with its log."""
    rows = found.sql("SELECT status, count(*) AS n FROM trials GROUP BY status ORDER BY n DESC")
    lines = ["trials  " + ", ".join(f"{row['n']} {row['status']}" for row in rows.to_pylist())]
    if found.sql("SELECT coalesce(max(failures), 0) AS n FROM studies").to_pylist()[0]["n"]:
        lines.append(_causes([event for event, _ in salvage(log_of(found.location))]))
    failed = found.sql("SELECT trial_id, reason FROM trials WHERE status = 'failed' LIMIT 5")
    for row in failed.to_pylist():
        log = trial_folder(found.location, row["trial_id"]) / "log.txt"
        lines.append(one_line(f"failed  {row['trial_id']}: {row['reason']} (see {log})"))
    return lines


def _causes(events: Sequence[Event]) -> str:
    """Return a study's failed attempts, by cause, the most frequent first."""
    causes = Counter(
        event.payload.get("cause", "exception") for event in events if event.kind == "failure"
    )
    counts = ", ".join(f"{n} {cause}" for cause, n in causes.most_common())
    attempts = "1 attempt" if causes.total() == 1 else f"{causes.total()} attempts"
    return f"failed  {attempts}: {counts}"


def best_trials(found: Results, count: int) -> pa.Table:
    """Return the probed trials of the highest validation accuracy, the first of equals first."""
    columns = _columns(found, "alpha", "rankme", "accuracy", "accuracy_se", "test_accuracy")
    return found.sql(
        f"SELECT trial_id, {columns} FROM trials WHERE accuracy IS NOT NULL "
        f"ORDER BY accuracy DESC, index LIMIT {count}"
    )


def every_trial(found: Results) -> pa.Table:
    """Return all trials, the best first."""
    columns = _columns(found, "status", "alpha", "alpha_r2", "rankme", "accuracy", "attempt")
    return found.sql(
        f"SELECT trial_id, {columns} FROM trials "
        "ORDER BY accuracy DESC NULLS LAST, status, alpha NULLS LAST"
    )


def explained(found: Results, trial_id: str) -> pa.Table:
    """Return what happened to one trial, and what was known of the others each time.

    Columns: seq, event, what (measures, or a verdict's reason), known (models probed so far),
    best (accuracy of the best of them), zone.

    Raises:
        StudyError: the study has no such trial.
    """
    events = [event for event, _ in salvage(log_of(found.location))]
    ids = [event.trial_id for event in events if event.kind == "candidate"]
    if trial_id not in ids:
        raise StudyError(unknown_name("The trial", trial_id, ids))
    history, rows = History(), list[dict[str, object]]()
    for event in events:
        history.fold(event)
        if event.trial_id != trial_id or (what := _what(event)) is None:
            continue
        accuracies = history.column("accuracy")[history.probed]
        rows.append(
            {
                "seq": event.seq,
                "event": what[0],
                "what": what[1],
                "known": len(accuracies),
                "best": float(accuracies.max()) if len(accuracies) else None,
                "zone": str(history.zone),
            }
        )
    return pa.Table.from_pylist(rows)


def _what(event: Event) -> tuple[str, str] | None:
    """Return an event's name and content in words, None for heartbeats."""
    match event.kind:
        case "candidate":
            point = event.payload["point"]
            return "candidate", "  ".join(f"{name}={value}" for name, value in point.items())
        case "start":
            return "start", f"attempt {event.attempt}"
        case "observation":
            seen = Observation.from_json(event.payload)
            if seen.stage == "pretrain":
                return None
            said = [
                f"{m.name} {m.value:.4g}" if m.value is not None else f"{m.name} is {m.status}"
                for m in seen.measures
            ]
            at = "" if seen.final else f" at {seen.fraction:.0%}"
            return seen.stage + at, ", ".join(said)
        case "verdict":
            return str(event.payload["action"]), str(event.payload["reason"])
        case "failure":
            return "failure", f"{event.payload['cause']}: {event.payload['error']}"
        case "dropped":
            return "dropped", "its encoder was removed from disk"
    return None


def _winner(outcome: Outcome) -> str:
    if outcome.winner is None:
        return "winner  none: nothing was probed"
    said = f"winner  {outcome.winner}: {outcome.accuracy:.2%} on validation"
    if outcome.interval is not None:
        said += f", 95 % interval {outcome.interval[0]:.2%} to {outcome.interval[1]:.2%}"
    if outcome.ties:
        others = "1 other" if len(outcome.ties) == 1 else f"{len(outcome.ties)} others"
        said += f"; {others} cannot be told from it: {', '.join(outcome.ties[:5])}"
    return said


def _columns(found: Results, *names: str) -> str:
    """Return the columns that vary, and those of these that the study has, as SQL."""
    table = found.trials
    known = table.schema.names
    varied = known[known.index("d") : known.index("encoder")]
    used = [name for name in varied if pc.count_distinct(table[name], "all").as_py() > 1]
    return ", ".join(f'"{name}"' for name in [*used, *names] if name in known)
