"""Tables that W&B, Optuna and MLflow export, with the names of columns that `sweep` knows.

`wandb`: the CSV of a project's table of runs. `optuna`: `study.trials_dataframe().to_csv()`.
`mlflow`: the CSV of the page of runs, or `mlflow.search_runs().to_csv()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from sweep.core.errors import DataError, unknown_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """What a tool writes.

    Args:
        names: name here -> the tool's names of it; the first that the table has is taken.
        status: the tool's names of the column that says how a run ended.
        ended: the values of that column of a run that ended well.
        prefixes: left out from the names of columns.
        left_out: columns that say nothing about a model; those that end with `*` are prefixes.
    """

    names: Mapping[str, tuple[str, ...]]
    status: tuple[str, ...]
    ended: frozenset[str]
    prefixes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


PRESETS = {
    "wandb": Preset(
        names={"trial_id": ("ID", "Name")},
        status=("State",),
        ended=frozenset({"finished"}),
        left_out=("Name", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "_*"),
    ),
    "optuna": Preset(
        names={"trial_id": ("number",), "accuracy": ("value",)},
        status=("state",),
        ended=frozenset({"COMPLETE"}),
        prefixes=("params_", "user_attrs_"),
        left_out=("datetime_*", "duration", "system_attrs_*"),
    ),
    "mlflow": Preset(
        names={"trial_id": ("run_id", "Run ID")},
        status=("status", "Status"),
        ended=frozenset({"FINISHED"}),
        prefixes=("params.", "metrics."),
        left_out=(
            *("Start Time", "Duration", "Name", "Source Type", "Source Name", "User"),
            *("experiment_id", "artifact_uri", "start_time", "end_time", "tags.*"),
        ),
    ),
}


def translate(name: str, table: pa.Table, tool: str) -> tuple[pa.Table, int]:
    """Return the table with our names of columns, and how many runs did not end well.

    Those runs are left out.

    Args:
        name: of the table, for errors.
        table: what the tool exported.
        tool: a key of `PRESETS`.

    Raises:
        DataError: there is no such preset, or the table lacks the column of ids.
    """
    if tool not in PRESETS:
        raise DataError(unknown_name("--from", tool, list(PRESETS)))
    preset = PRESETS[tool]
    status = next((title for title in preset.status if title in table.column_names), None)
    left_out = 0
    if status is not None:
        kept = [value in preset.ended for value in table.column(status).to_pylist()]
        left_out = kept.count(False)
        table = table.filter(pa.array(kept, pa.bool_())).drop_columns([status])
    ours = {}
    for own, theirs in preset.names.items():
        title = next((title for title in theirs if title in table.column_names), None)
        if title is None and own == "trial_id":
            raise DataError(
                f"{name} is no table of {tool}: it has no column {' or '.join(theirs)}. Columns "
                f"there: {', '.join(table.column_names)}."
            )
        if title is not None and own not in table.column_names:
            ours[title] = own
    dropped = [c for c in table.column_names if c not in ours and _matches(c, preset.left_out)]
    table = table.drop_columns(dropped)
    titles = [ours.get(title) or _bare(title, preset.prefixes) for title in table.column_names]
    return table.rename_columns(titles), left_out


def _matches(title: str, patterns: tuple[str, ...]) -> bool:
    return any(
        title.startswith(pattern[:-1]) if pattern.endswith("*") else title == pattern
        for pattern in patterns
    )


def _bare(title: str, prefixes: tuple[str, ...]) -> str:
    """Return a column's name without the tool's prefix."""
    for prefix in prefixes:
        title = title.removeprefix(prefix)
    return title
