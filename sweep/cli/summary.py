"""A study's results in lines and tables for a person. Pure: it prints nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sweep.cli import label_free
from sweep.core.errors import StudyError, unknown_name
from sweep.core.events import CandidateAdded, Event, StudyBegan, TrialFailed
from sweep.core.records import MEASURES_OF_PROBE, Outcome, Zone
from sweep.core.text import one_line, to_text
from sweep.log.log import salvage
from sweep.log.study_folder import log_of, trial_folder
from sweep.tables.parameters import between
from sweep.tables.results import Results
from sweep.tables.savings import pretraining
from sweep.tables.why import why

UNEQUAL = ("balanced_accuracy", "macro_f1")
"""Measures in which every class counts alike."""


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
    lines.append(_winner(outcome, results.metric))
    lines.append("")
    lines.append(f'Query   sweep query {results.location} "{_example(results.trials)}"')
    if outcome.winner is not None and results.config.trial == "pretrain":
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
    lines += _chance(results)
    if pc.max(results.studies["failures"]).as_py():
        lines.append(_causes([event for event, _ in salvage(log_of(results.location))]))
    failed = trials.filter(pc.equal(trials["status"], "failed")).slice(0, 5)
    for row in failed.select(["trial_id", "reason"]).to_pylist():
        log = trial_folder(results.location, row["trial_id"]) / "log.txt"
        lines.append(one_line(f"failed  {row['trial_id']}: {row['reason']} (see {log})"))
    return lines


def _chance(results: Results) -> list[str]:
    """Return the accuracy of a constant answer, if the study's log says how its images are."""
    first = next((event for event, _ in salvage(log_of(results.location))), None)
    chosen = first.chosen if isinstance(first, StudyBegan) else {}
    report = chosen.get("probe.data", chosen.get("data"))
    chance = report.get("chance") if isinstance(report, dict) else None
    if not isinstance(chance, float) or not 0 <= chance <= 1:
        return []
    return [f"chance  {chance:.2%} accuracy: the share of the largest class"]


def _causes(events: Sequence[Event]) -> str:
    """Return a study's failed attempts, by cause, the most frequent first."""
    causes = Counter(event.failure.cause for event in events if isinstance(event, TrialFailed))
    counts = ", ".join(f"{n} {cause}" for cause, n in causes.most_common())
    attempts = "1 attempt" if causes.total() == 1 else f"{causes.total()} attempts"
    return f"failed  {attempts}: {counts}"


def best_trials(results: Results, count: int) -> pa.Table:
    """Return the probed trials of the highest `probe.metric`, the first of equals first.

    Balanced accuracy and macro F1 are shown where the largest class is at least twice as large as
    it would be among equal classes.
    """
    trials, metric = results.trials, results.metric
    names = ["alpha", "rankme", "accuracy", "accuracy_se"]
    names += [n for n in MEASURES_OF_PROBE if n == metric or (n in UNEQUAL and _unequal(trials))]
    columns = _columns(trials, *names, "test_accuracy")
    return _probed(trials, metric).slice(0, count).select(columns)


def _unequal(trials: pa.Table) -> bool:
    """Return whether the validation split's largest class is twice an equal share or more."""
    for text, chance in zip(
        *(trials[n].to_pylist() for n in ("class_recall", "chance")), strict=True
    ):
        if text is not None and chance is not None:
            return bool(chance * len(json.loads(text)) >= 2)
    return False


def every_trial(results: Results) -> pa.Table:
    """Return all trials: the probed ones as `best_trials` does, the others by status and alpha."""
    trials = results.trials
    metric = results.metric
    names = ["status", "alpha", "alpha_r2", "rankme", "accuracy", "attempt"]
    names += [metric] if metric != "accuracy" else []
    columns = _columns(trials, *names)
    others = trials.filter(pc.is_null(trials[metric]))
    order = [(name, "ascending") for name in ("status", "alpha", "index")]
    return pa.concat_tables([_probed(trials, metric), _sorted(others, order)]).select(columns)


def _probed(trials: pa.Table, metric: str) -> pa.Table:
    """Return the trials with the metric, the highest first, equal ones in the study's order."""
    probed = trials.filter(pc.is_valid(trials[metric]))
    return _sorted(probed, [(metric, "descending"), ("index", "ascending")])


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
    rows = [row for about, row in why(events) if about == trial_id]
    return pa.Table.from_pylist(rows).drop_columns("time")


def _winner(outcome: Outcome, metric: str) -> str:
    if outcome.winner is None:
        return "winner  none: nothing was probed"
    what = "" if metric == "accuracy" else f"{metric.replace('_', ' ')} "
    line = f"winner  {outcome.winner}: {what}{outcome.accuracy:.2%} on validation"
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
