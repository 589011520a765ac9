"""The command that shows a study in another tool."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir, StudyName
from sweep.cli.output import echo


def send(
    study: StudyName,
    to: Annotated[str, typer.Option("--to", help="The tool: optuna.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="TARGET",
            help="sqlite:///FILE or a journal file. Default: exports/STUDY/optuna.db.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Send what is new until the study's driver ends.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="--follow: how often the log is looked at.")
    ] = 5.0,
    results: ResultsDir = RESULTS,
) -> None:
    """Send a study to another tool.

    Sending again adds what is new. The study itself is only read.

    Example: sweep send quickstart --to optuna -o sqlite:///study.db
    """
    from sweep.core.errors import UserError, unknown_name
    from sweep.exporters import EXPORTERS
    from sweep.tables.results import load

    if to not in EXPORTERS:
        raise UserError(unknown_name("--to", to, list(EXPORTERS)))
    loaded = load(study, results=results)
    sent = EXPORTERS[to](loaded, output)
    try:
        while follow and loaded.studies["status"].to_pylist() == ["running"]:
            time.sleep(seconds)
            sent = EXPORTERS[to](loaded, output)
        if follow:  # what the driver logged between the last look and its end
            sent = EXPORTERS[to](loaded, output)
    except KeyboardInterrupt:
        echo("Sending has ended; the study goes on.")
    echo(f"Sent {sent.trials} trials to {sent.target}.")
    echo(f"Show    {sent.open_with}")
