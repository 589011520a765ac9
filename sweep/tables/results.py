"""What came of a study, in Python: its tables as Arrow, and SQL over them.

Importing this and reading a table does without DuckDB, which only `Results.sql` needs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pyarrow as pa

from sweep.config.models import StudyConfig
from sweep.core.errors import StudyError
from sweep.core.outcome import Outcome
from sweep.log.file_log import EVENTS, find, last
from sweep.storage import disk as files
from sweep.storage.disk import Place
from sweep.tables.snapshots import StudyTables


@dataclass(frozen=True, slots=True)
class Results:
    """A study on disk, finished or not; each table is read anew, up to the log's last event.

    Args:
        folder: the study's.
    """

    folder: Place

    @property
    def name(self) -> str:
        """The study's name."""
        return files.absolute(self.folder).name

    @property
    def config(self) -> StudyConfig:
        """What the study was told, as last changed by a resume; `StudyError` if nothing."""
        texts = self.studies["config"].to_pylist()
        if not texts or texts[0] is None:
            raise StudyError(f"The study {self.folder} has no config: its log never began.")
        return StudyConfig.parse(json.loads(texts[0]), source=str(self.folder))

    @property
    def outcome(self) -> Outcome | None:
        """What the study came to, None unless its end is the last thing that happened."""
        event = last(self.folder / EVENTS)
        return Outcome.from_json(event.payload) if event and event.kind == "finish" else None

    @property
    def trials(self) -> pa.Table:
        """One row per candidate: its varied fields, status, measures, accuracy, seconds."""
        return StudyTables(self.folder).table("trials")

    @property
    def observations(self) -> pa.Table:
        """One row per observation: a stage reached, its loss and its cost."""
        return StudyTables(self.folder).table("observations")

    @property
    def measures(self) -> pa.Table:
        """One row per measure, those taken during training included."""
        return StudyTables(self.folder).table("measures")

    @property
    def spectra(self) -> pa.Table:
        """One row per measured spectrum: the eigenvalues, in descending order."""
        return StudyTables(self.folder).table("spectra")

    @property
    def verdicts(self) -> pa.Table:
        """One row per verdict, and per move of the zone (`action` is `zone`)."""
        return StudyTables(self.folder).table("verdicts")

    @property
    def studies(self) -> pa.Table:
        """One row: config, versions, commit, status, winner, what was spent."""
        return StudyTables(self.folder).table("studies")

    def sql(self, text: str) -> pa.Table:
        """Return the rows of one SELECT over the tables; see `sweep.tables.query.query`."""
        from sweep.tables.query import query  # DuckDB takes half a second to import

        return query([self.folder], text)


def load(
    study: str | os.PathLike[str] | Place, *, results: str | os.PathLike[str] | Place = "results"
) -> Results:
    """Return a study's results.

    Args:
        study: its folder, or its name under `results`.
        results: the folder of studies; either may be an `s3://` address.

    Raises:
        StudyError: there is none; the sentence lists those there are.
    """
    return Results(find(files.place(results), str(study)))
