"""The commands that read a study: ls, show, best, query, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir, StudyName
from sweep.cli.output import (
    AsTable,
    Csv,
    Json,
    echo,
    echo_table,
    echo_unchanged,
    form_of,
    note,
    table_text,
)
from sweep.core.errors import OtherFormat, QueryError, StudyError
from sweep.log import study_folder
from sweep.log.study_folder import log_of
from sweep.storage.location import Location

if TYPE_CHECKING:
    from sweep.tables.results import Results

PATIENCE_SECONDS = 5.0
"""How long a query has to end after its time limit. Then its process is ended."""


def list_studies(
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """List the studies.

    Example: sweep ls --json
    """
    from sweep.tables.query import query

    form = form_of(as_json, as_csv, as_table)
    folders = [folder for folder in study_folder.listing(results) if _readable(folder)]
    if not folders and form == "table":
        echo(f"No study in {results}. `sweep run experiments/quickstart.toml` makes one.")
        return
    sql = (
        "SELECT study, status, candidates, pretrained, probes, failures, winner, "
        "device_seconds FROM studies ORDER BY study"
    )
    if folders:
        echo_table(query(folders, sql), form)
    else:
        echo("[]" if as_json else "")


def _readable(folder: Location) -> bool:
    """Return whether a study's log has a format that we read; print why, if not."""
    try:
        next(log_of(folder).scan(), None)
    except OtherFormat as error:
        note(f"{folder} is left out. {error}")
        return False
    except StudyError:
        pass  # a damaged log is listed as far as it can be read
    return True


def show(
    study: StudyName,
    why: Annotated[
        str | None,
        typer.Option(metavar="TRIAL", help="What the rule knew about one trial, and decided."),
    ] = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Show every trial of a study, the best first.

    Also shows how far the study is.

    Example: sweep show quickstart --why 03d80727ed
    """
    from sweep.cli.summary import every_trial, explained, of_trials, saved

    form = form_of(as_json, as_csv, as_table)
    loaded = _load(results, study)
    if why is not None:
        echo_table(explained(loaded, why), form)
        return
    echo_table(every_trial(loaded), form)
    if form == "table":
        lines = saved(loaded) if loaded.outcome is not None else []
        echo("\n".join(["", *of_trials(loaded), *lines]))


def best(
    study: StudyName,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Print the best model so far.

    Example: sweep best quickstart --json
    """
    from sweep.cli.summary import best_trials

    loaded = _load(results, study)
    row = best_trials(loaded, 1)
    if row.num_rows == 0:
        raise StudyError(
            f"No trial of {loaded.name} is probed yet. `sweep show {study}` shows all trials."
        )
    echo_table(row, form_of(as_json, as_csv, as_table))


def query(
    words: Annotated[
        list[str], typer.Argument(metavar="STUDY... SQL", help="Studies, then one SELECT.")
    ],
    seconds: Annotated[
        float, typer.Option(min=0.1, help="How many seconds the query may take.")
    ] = 30.0,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Answer one SELECT over the tables of studies.

    Nothing is written. Tables: trials, observations, measures, spectra, verdicts, attempts,
    studies.

    Example: sweep query quickstart "SELECT d, lambd, alpha FROM trials ORDER BY alpha" --csv
    """
    from sweep.cli import process_limits
    from sweep.tables.query import MEMORY_BYTES
    from sweep.tables.query import query as ask

    form = form_of(as_json, as_csv, as_table)
    *studies, sql = words
    if not studies:
        raise QueryError(
            'A query names a study and then a SELECT: sweep query STUDY "SELECT d FROM trials".'
        )
    folders = [study_folder.find(results, study) for study in studies]

    def too_late() -> None:
        echo(f"Error: The query took longer than {seconds:g} s and was ended.", err=True)

    with (
        process_limits.memory(MEMORY_BYTES),
        process_limits.time(
            seconds + PATIENCE_SECONDS, say=too_late, exit_code=QueryError.exit_code
        ),
    ):
        try:
            text = table_text(ask(folders, sql, seconds=seconds), form)
        except MemoryError:
            raise QueryError(
                f"The result needs more than {MEMORY_BYTES / 1e9:g} GB as text. Select fewer rows "
                "or columns, for example with LIMIT 1000."
            ) from None
    echo_unchanged(text)


def export(
    study: StudyName,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    trial: Annotated[
        str | None, typer.Option(help="The trial to export. Default: the winner.")
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Write the weights of an encoder.

    A JSON file beside them says how they were made.

    Example: sweep export quickstart -o encoder.safetensors
    """
    from sweep.export import export as write

    about = write(_load(results, study), output, trial_id=trial)
    echo(f"Wrote {output} and {output.with_suffix('.json')} (trial {about['trial_id']}).")
    echo(f'In Python: sweep.load_encoder("{output}").encoder')


def _load(results: Location, study: str) -> Results:
    """Return the results of the study of that name, or at that path."""
    from sweep.tables.results import load

    return load(study, results=results)
