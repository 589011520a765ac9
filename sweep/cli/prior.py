"""The command that makes a prior of earlier studies: prior."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir
from sweep.cli.output import echo
from sweep.core.errors import UserError
from sweep.core.text import one_line
from sweep.log import study_folder
from sweep.storage.location import Location, locate

if TYPE_CHECKING:
    from sweep.replay.sources import Read


def prior(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Studies, .parquet or .csv tables, or priors."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the prior to this .json file.")
    ],
    results: ResultsDir = RESULTS,
) -> None:
    """Put earlier studies into one small file.

    The rule race of a new study learns from it. Each study or table stays a source of its own. A
    line is printed for each.

    Example: sweep prior last_month digits.parquet -o mine.json
    """
    from sweep.prediction.prior_file import to_bytes
    from sweep.replay.sources import described

    if output.suffix != ".json":
        raise UserError(f"{output} is not a .json file. Name one: -o {output.with_suffix('.json')}")
    found = [one for name in sources for one in _read(name, results)]
    names = [one.source.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"Two sources are named {twice[0]!r}. Rename a folder or file, or omit one."
        )
    for one in found:
        echo(one_line(described(one)))
    try:
        locate(output).write(to_bytes([one.source for one in found]))
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror or error}.") from error
    echo(f'Wrote {output}. A study takes it with rule.prior=["{output}"].')


def _read(name: str, results: Location) -> list[Read]:
    """Return the sources of a file, of a study's folder, or of a study under `results`."""
    from sweep.replay.sources import SUFFIXES, read

    return read(name if Path(name).suffix in SUFFIXES else study_folder.find(results, name))
