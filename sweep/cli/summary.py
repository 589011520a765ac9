"""A study's results in lines and tables for a person. Pure: it prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sweep.cli import label_free
from sweep.core.errors import StudyError, unknown_name
from sweep.core.events import (
    CandidateAdded,
    Decided,
    EncoderDropped,
    Event,
    Observed,
    Suggested,
    TrialFailed,
    TrialStarted,
    trial_of,
)
from sweep.core.history import History
from sweep.core.records import Outcome, Zone
from sweep.core.text import one_line, to_text
from sweep.log.log import salvage
from sweep.log.study_folder import log_of, trial_folder
from sweep.tables.parameters import between
from sweep.tables.results import Results
from sweep.tables.savings import pretraining


def of_study(results: Results, outcome: Outcome) -> list[str]:
    """Return the best five, the counts, the zone, the probes, the winner and what to type next.

    A study without probes has rankings by the numbers that are known without labels instead.
    """
    lines = label_free.of_study(results) if _without_probes(results) else [_best_five(results)]
    lines += ["", *of_trials(results)]
    if outcome.zone != Zone():
        lines.append(f"zone    alpha in {outcome.zone}")
    if outcome.zone.note:
        lines.append(f"note    {outcome.zone.note}")
    lines.append(_probes(results, outcome))
    lines += saved(results)
    lines.append(f"end     {outcome.reason}")
    lines.append(_winner(outcome))
    lines.append("")
    lines.append(f'Query   sweep query {results.location} "{_example(results.trials)}"')
    if outcome.winner is not None:
        lines.append(f"Export  sweep export {results.location} -o encoder.safetensors")
    return lines


def _without_probes(results: Results) -> bool:
    return results.config.rule.name == "none"


def _best_five(results: Results) -> str:
    return to_text(best_trials(results, 5), "table")


def _probes(results: Results, outcome: Outcome) -> str:
    """Return how many models were probed, and how often models were probed during training."""
    seen = results.observations
    looks = pc.and_(pc.equal(seen["stage"], "probed"), pc.less(seen["fraction"], 1.0))
    during = pc.sum(looks).as_py() or 0
    line = f"probes  {outcome.probes_paid} paid, {outcome.probes_saved} saved"
    return f"{line}; {during} more during training" if during else line


def saved(results: Results) -> list[str]:
    """Return what the rule spent on pretraining and what all models would take, in a line.

    There is no line for a study whose models were all trained to the end.
    """
    cost = pretraining(results)
    if cost is None:
        return []
    return [
        f"saved   pretraining took {cost.spent:.4g} of about {cost.whole:.4g} device-seconds that "
        f"all {cost.models} models would take"
    ]


def of_trials(results: Results) -> list[str]:
    """Return how many trials have which status, and what failed, by cause and with its log."""
    trials = results.trials
    statuses = Counter(trials["status"].to_pylist())
    lines = ["trials  " + ", ".join(f"{n} {status}" for status, n in statuses.most_common())]
    if pc.max(results.studies["failures"]).as_py():
        lines.append(_causes([event for event, _ in salvage(log_of(results.location))]))
    failed = trials.filter(pc.equal(trials["status"], "failed")).slice(0, 5)
    for row in failed.select(["trial_id", "reason"]).to_pylist():
        log = trial_folder(results.location, row["trial_id"]) / "log.txt"
        lines.append(one_line(f"failed  {row['trial_id']}: {row['reason']} (see {log})"))
    return lines


def _causes(events: Sequence[Event]) -> str:
    """Return a study's failed attempts, by cause, the most frequent first."""
    causes = Counter(event.failure.cause for event in events if isinstance(event, TrialFailed))
    counts = ", ".join(f"{n} {cause}" for cause, n in causes.most_common())
    attempts = "1 attempt" if causes.total() == 1 else f"{causes.total()} attempts"
    return f"failed  {attempts}: {counts}"


def best_trials(results: Results, count: int) -> pa.Table:
    """Return the probed trials of the highest validation accuracy, the first of equals first."""
    trials = results.trials
    columns = _columns(trials, "alpha", "rankme", "accuracy", "accuracy_se", "test_accuracy")
    return _probed(trials).slice(0, count).select(columns)


def every_trial(results: Results) -> pa.Table:
    """Return all trials: the probed ones as `best_trials` does, the others by status and alpha."""
    trials = results.trials
    columns = _columns(trials, "status", "alpha", "alpha_r2", "rankme", "accuracy", "attempt")
    others = trials.filter(pc.is_null(trials["accuracy"]))
    order = [(name, "ascending") for name in ("status", "alpha", "index")]
    return pa.concat_tables([_probed(trials), _sorted(others, order)]).select(columns)


def _probed(trials: pa.Table) -> pa.Table:
    """Return the trials with an accuracy, the highest first, equal ones in the study's order."""
    probed = trials.filter(pc.is_valid(trials["accuracy"]))
    return _sorted(probed, [("accuracy", "descending"), ("index", "ascending")])


def _sorted(table: pa.Table, order: Sequence[tuple[str, str]]) -> pa.Table:
    """Return the rows in order, nulls last.

    Equivalent to `table.sort_by`, which runs a query plan on several threads for a few rows.
    """
    return table.take(pc.sort_indices(table, sort_keys=list(order)))


def explained(results: Results, trial_id: str) -> pa.Table:
    """Return what happened to one trial, and what was known of the others at each event.

    Columns: seq, event, what (measures, or a verdict's reason), known (models probed so far),
    best (accuracy of the best of these), zone.

    Raises:
        StudyError: the study has no such trial.
    """
    events = [event for event, _ in salvage(log_of(results.location))]
    ids = [event.trial_id for event in events if isinstance(event, CandidateAdded)]
    if trial_id not in ids:
        raise StudyError(unknown_name("The trial", trial_id, ids))
    history, rows = History(), list[dict[str, object]]()
    for event in events:
        history.fold(event)
        about = event.begin if isinstance(event, Suggested) else trial_of(event)
        if about != trial_id or (words := _words(event)) is None:
            continue
        accuracies = history.column("accuracy")[history.probed]
        rows.append(
            {
                "seq": event.seq,
                "event": words[0],
                "what": words[1],
                "known": len(accuracies),
                "best": float(accuracies.max()) if len(accuracies) else None,
                "zone": str(history.zone),
            }
        )
    return pa.Table.from_pylist(rows)


def _words(event: Event) -> tuple[str, str] | None:
    """Return an event's name and content in words, None for progress during pretraining."""
    match event:
        case CandidateAdded(point=point):
            return "candidate", "  ".join(f"{name}={value}" for name, value in point.items())
        case TrialStarted():
            return "start", f"attempt {event.attempt}"
        case Observed(observation=observation) if observation.stage != "pretrain":
            numbers = [
                f"{m.name} {m.value:.4g}" if m.value is not None else f"{m.name} is {m.status}"
                for m in observation.measures
            ]
            at = "" if observation.final else f" at {observation.fraction:.0%}"
            return observation.stage + at, ", ".join(numbers)
        case Decided():
            return event.action, event.reason
        case Suggested():
            return "begin", event.reason
        case TrialFailed(failure=failure):
            return "failure", f"{failure.cause}: {failure.error}"
        case EncoderDropped():
            return "dropped", "its encoder was removed from disk"
    return None


def _winner(outcome: Outcome) -> str:
    if outcome.winner is None:
        return "winner  none: nothing was probed"
    line = f"winner  {outcome.winner}: {outcome.accuracy:.2%} on validation"
    if outcome.interval is not None:
        line += f", 95 % interval {outcome.interval[0]:.2%} to {outcome.interval[1]:.2%}"
    if outcome.ties:
        others = "1 other" if len(outcome.ties) == 1 else f"{len(outcome.ties)} others"
        line += f"; {others} cannot be told from it: {', '.join(outcome.ties[:5])}"
    return line


def _varied(trials: pa.Table) -> list[str]:
    """Return the columns in which the candidates differ."""
    names = [*between(trials.schema.names), "seed", "method"]
    return [name for name in names if len(trials[name].unique()) > 1]


def _columns(trials: pa.Table, *names: str) -> list[str]:
    """Return the id, the columns that vary, and those of the names that the table has."""
    known = trials.schema.names
    return ["trial_id", *_varied(trials), *(name for name in names if name in known)]


def _example(trials: pa.Table) -> str:
    """Return a query that works, with two of the study's own columns."""
    own = _varied(trials) or between(trials.schema.names)
    columns = [name for name in own if name.isidentifier()][:2]
    return f"SELECT {', '.join([*columns, 'alpha', 'accuracy'])} FROM trials"
