"""The results of a study, in Python: its tables as Arrow, and SQL over them.

Only `Results.sql` imports DuckDB.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sweep.config.study import StudyConfig
from sweep.core.errors import StudyError, UserError, unknown_name
from sweep.core.events import StudyFinished
from sweep.core.records import MEASURES_OF_PROBE, Outcome
from sweep.log.study_folder import find, log_of
from sweep.storage.base import NativePath
from sweep.storage.location import Address, Location, locate
from sweep.tables.parameters import between
from sweep.tables.schemas import SCHEMAS
from sweep.tables.snapshots import StudyTables
from sweep.tables.status import with_status_now

SHOWN = 10
"""Trials that a notebook shows of a study."""


@dataclass(frozen=True, init=False, slots=True)
class Results:
    """A study's results, finished or not; each access reads a table anew, up to the last event.

    Args:
        folder: the study's: a path, or an `s3://` address.
    """

    location: Location

    def __init__(self, folder: Address) -> None:
        object.__setattr__(self, "location", locate(folder))

    @property
    def folder(self) -> NativePath:
        """The study's folder: a `Path`, or a `UPath` on an object store."""
        return self.location.native

    @property
    def name(self) -> str:
        """The study's name."""
        return self.location.absolute().name

    @property
    def config(self) -> StudyConfig:
        """The study's config, as last changed by a resume; `StudyError` if the log has none."""
        texts = self.studies["config"].to_pylist()
        if not texts or texts[0] is None:
            raise StudyError(
                f"The study {self.location} has no config: its log has no first event."
            )
        return StudyConfig.parse(json.loads(texts[0]), source=str(self.location))

    @property
    def metric(self) -> str:
        """The column that the study maximises (`probe.metric`); `accuracy` without a config."""
        texts = self.studies["config"].to_pylist()
        probe = json.loads(texts[0]).get("probe") if texts and texts[0] is not None else None
        metric = probe.get("metric") if isinstance(probe, dict) else None
        return metric if metric in MEASURES_OF_PROBE else "accuracy"

    @property
    def outcome(self) -> Outcome | None:
        """The study's outcome; None unless the study's end is the log's last event."""
        event = log_of(self.location).last()
        return event.outcome if isinstance(event, StudyFinished) else None

    @property
    def trials(self) -> pa.Table:
        """One row per candidate: its varied fields, status, measures, accuracy, seconds."""
        return StudyTables(self.location).table("trials")

    @property
    def observations(self) -> pa.Table:
        """One row per observation: a stage reached, its loss and its cost."""
        return StudyTables(self.location).table("observations")

    @property
    def measures(self) -> pa.Table:
        """One row per measure, those taken during training included."""
        return StudyTables(self.location).table("measures")

    @property
    def spectra(self) -> pa.Table:
        """One row per measured spectrum: the eigenvalues, in descending order."""
        return StudyTables(self.location).table("spectra")

    @property
    def verdicts(self) -> pa.Table:
        """One row per verdict, and per move of the zone (`action` is `zone`)."""
        return StudyTables(self.location).table("verdicts")

    @property
    def attempts(self) -> pa.Table:
        """One row per attempt of a trial: when it began and ended, where, and how it ended."""
        return StudyTables(self.location).table("attempts")

    @property
    def studies(self) -> pa.Table:
        """One row: config, versions, commit, status as it is now, winner, seconds spent."""
        return with_status_now(StudyTables(self.location).table("studies"), self.location)

    def sql(self, text: str) -> pa.Table:
        """Return the rows of one SELECT over the tables; see `sweep.tables.query.query`."""
        from sweep.tables.query import query  # DuckDB takes half a second to import

        return query([self.location], text)

    def to_pandas(self, table: str = "trials") -> Any:
        """Return a table as a pandas DataFrame; pandas comes with Ray Tune.

        Raises:
            UserError: pandas is not installed.
            StudyError: there is no such table.
        """
        try:
            return self._table(table).to_pandas()
        except ModuleNotFoundError as error:
            raise _missing("to_pandas", "pandas") from error

    def to_polars(self, table: str = "trials") -> Any:
        """Return a table as a polars DataFrame.

        Raises:
            UserError: polars is not installed.
            StudyError: there is no such table.
        """
        try:
            import polars  # of the user's own environment
        except ModuleNotFoundError as error:
            raise _missing("to_polars", "polars") from error
        return polars.from_arrow(self._table(table))

    def _table(self, name: str) -> pa.Table:
        if name not in SCHEMAS:
            raise StudyError(unknown_name("The table", name, list(SCHEMAS)))
        return getattr(self, name)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: how far the study is, and its best trials."""
        trials, metric = self.trials, self.metric
        status = ", ".join(str(word) for word in self.studies["status"].to_pylist())
        names = trials.column_names
        varied = [
            name
            for name in between(names)
            if name not in MEASURES_OF_PROBE and len(set(trials[name].to_pylist())) > 1
        ]
        shown = dict.fromkeys(["trial_id", *varied, "alpha", "rankme", metric, "status"])
        rows = (
            trials.sort_by([(metric, "descending")]).slice(0, SHOWN).select(list(shown)).to_pylist()
        )
        head = "".join(f"<th>{html.escape(name)}</th>" for name in shown)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(_cell(row[name]))}</td>" for name in shown)
            + "</tr>"
            for row in rows
        )
        title = f"<b>{html.escape(self.name)}</b>: {html.escape(status)}"
        return (
            f"<p>{title}, {trials.num_rows} trials; the best {len(rows)}:</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _missing(method: str, library: str) -> UserError:
    return UserError(
        f"{method} needs {library}, which is not installed: pip install {library}. `trials` and "
        "the other tables are Arrow tables, which need nothing more."
    )


def load(study: Address, *, results: Address = "results") -> Results:
    """Return a study's results.

    Args:
        study: its folder, or its name under `results`.
        results: the folder of studies; either may be an `s3://` address.

    Raises:
        StudyError: there is no such study; the sentence lists the studies.
    """
    return Results(find(locate(results), str(study)))
