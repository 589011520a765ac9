"""What a study came to, in lines and tables for a person. Pure: it prints nothing."""

from __future__ import annotations

import pyarrow as pa

from sweep.outcome import Outcome
from sweep.progress import clean
from sweep.results import Results
from sweep.text import to_text


def of_study(found: Results, outcome: Outcome) -> list[str]:
    """Return the best five, the counts, the zone, the probes, the winner and what to type next."""
    lines = [to_text(best_trials(found, 5), "table"), "", *of_trials(found)]
    lines.append(f"zone    alpha in {outcome.zone}")
    lines.append(f"probes  {outcome.probes_paid} paid, {outcome.probes_saved} saved")
    lines.append(f"end     {outcome.reason}")
    lines.append(_winner(outcome))
    lines.append("")
    sql = "SELECT d, lambd, alpha, accuracy FROM trials"
    lines.append(f'Query   sweep query {found.folder} "{sql}"')
    if outcome.winner is not None:
        lines.append(f"Export  sweep export {found.folder} -o encoder.safetensors")
    return lines


def of_trials(found: Results) -> list[str]:
    """Return how many trials have which status, and the first failures with their logs."""
    rows = found.sql("SELECT status, count(*) AS n FROM trials GROUP BY status ORDER BY n DESC")
    lines = ["trials  " + ", ".join(f"{row['n']} {row['status']}" for row in rows.to_pylist())]
    failed = found.sql("SELECT trial_id, reason FROM trials WHERE status = 'failed' LIMIT 5")
    for row in failed.to_pylist():
        log = found.folder / "trials" / row["trial_id"] / "log.txt"
        lines.append(clean(f"failed  {row['trial_id']}: {row['reason']} (see {log})"))
    return lines


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
    used = [name for name in varied if len(set(table[name].to_pylist())) > 1]
    return ", ".join(f'"{name}"' for name in [*used, *names] if name in known)
