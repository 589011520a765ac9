"""The commands about whole studies: compare, dump and rm."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sweep.cli.options import RESULTS, ResultsDir, StudyName
from sweep.cli.output import Json, echo
from sweep.core.errors import StudyError, UserError
from sweep.core.text import one_line
from sweep.log import study_folder
from sweep.log.study_folder import TRIALS
from sweep.storage.location import Location


def compare(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY STUDY...", help="Two or more.")],
    results: ResultsDir = RESULTS,
    as_json: Json = False,
) -> None:
    """Show studies side by side.

    Winners, costs, and the keys in which their configs differ.

    Example: sweep compare quickstart other
    """
    from sweep.tables import comparison
    from sweep.tables.results import load

    if len(studies) < 2:
        raise UserError("`sweep compare` needs two studies or more: sweep compare A B")
    found = comparison.compare([load(study, results=results) for study in studies])
    if as_json:
        echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
        return
    for line in _lines(["", *found.studies], {**found.rows}):
        echo(line)
    echo("")
    for name, difference in zip(found.studies[1:], found.differences, strict=True):
        if difference is not None:
            metric, value, low, high = difference
            words = f"{metric.replace('_', ' ')} of {name} minus {found.studies[0]}"
            span = f"{100 * low:+.2f} to {100 * high:+.2f}"
            echo(one_line(f"{words}: {100 * value:+.2f} points, 95 % interval {span}"))
    if not found.same_images:
        echo("The studies have different images, labels or splits: their values do not compare.")
    if found.differing:
        echo("")
        for line in _lines(["keys that differ", *found.studies], found.differing):
            echo(line)


def _lines(heads: list[str], rows: Any) -> list[str]:
    """Return a table as lines, its columns aligned."""
    table = [heads, *([key, *map(_word, values)] for key, values in rows.items())]
    widths = [max(len(row[at]) for row in table) for at in range(len(heads))]
    return [
        one_line("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)))
        for row in table
    ]


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def dump(
    study: StudyName,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for the files.")],
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Write CSV, with lists as JSON, instead of Parquet.")
    ] = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Write all tables of a study to files.

    Example: sweep dump quickstart -o tables --csv
    """
    from sweep.tables.files import write_all
    from sweep.tables.results import load

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} is there and is not an empty folder. Name a new one with -o.")
    loaded = load(study, results=results)
    for path, rows in write_all(loaded, output, csv=as_csv):
        echo(f"{path}  {rows} rows")


def rm(
    study: StudyName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_tables: Annotated[
        bool,
        typer.Option(
            "--keep-tables", help="Keep the log and the tables; remove weights and checkpoints."
        ),
    ] = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Remove a study, or its weights.

    A study that runs is refused.

    Example: sweep rm quickstart --keep-tables
    """
    from sweep.storage.lease import holder_of

    folder = study_folder.find(results, study)
    if not study_folder.is_study(folder):
        raise StudyError(f"{folder} is not a study's folder; nothing was removed.")
    if (driver := holder_of(folder)) is not None:
        raise StudyError(f"{driver} runs {folder}. `sweep stop {study}` stops it.")
    place = folder / TRIALS if keep_tables else folder
    if not place.is_folder():
        echo(f"There is no {place}: nothing to remove.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UserError(f"Nobody can be asked here. `sweep rm {study} --yes` removes {place}.")
        if not typer.confirm(f"Remove {place} and all that is in it?"):
            return
    _remove(place)
    echo(f"Removed {place}.")


def _remove(folder: Location) -> None:
    """Remove a folder of a disk or of an object store with all that is in it."""
    native = folder.native
    if isinstance(native, Path):
        if native.is_symlink():
            raise StudyError(f"{native} is a link. Remove it, or what it points to, yourself.")
        shutil.rmtree(native)
    else:
        native.rmdir(recursive=True)
