"""The command for somebody who has images and minutes, and no config: start."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir
from sweep.cli.output import echo, note
from sweep.cli.run import end, print_line, take_signals, watcher
from sweep.storage.location import Location


def start(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A folder of images, or a Parquet table of images.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Keys of [data], for example data.label=breed", metavar="data.KEY=VALUE"
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="How long the whole command may take, 15 % more or less.")
    ] = 60.0,
    name: Annotated[
        str | None,
        typer.Option(help="Of the study and of the file NAME.toml. Default: the path's name."),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="Train one model with all defaults for the whole time, to compare with."
        ),
    ] = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Train a model from images, in the minutes given.

    Reads the images as `sweep data` does, times a few encoders on this machine, and chooses the
    rest so that the time suffices. Writes NAME.toml, which says why for each choice, and runs it as
    `sweep run NAME.toml` does.

    Example: sweep start photos --minutes 30
    """
    began = time.monotonic()
    take_signals(context)
    from sweep.launch import launch
    from sweep.planning.start import lines_of, write_plan

    started = write_plan(
        path,
        minutes=minutes,
        name=name,
        overrides=overrides or [],
        results=results,
        plain=plain,
        tell=print_line,
        began=began,
    )
    for line in lines_of(started):
        print_line(line)
    outcome = launch.run(
        started.file, results=results, watch=watcher(quiet=False), warn=note, tell=print_line
    )
    folder = results / started.config.name
    end(outcome, folder)
    if started.plan.kind == "unlabelled":
        _export_without_labels(folder, started.file.with_suffix(".safetensors"))
    echo(f"Show    sweep show {folder}")
    echo(f"Report  sweep report {folder} -o report.html")
    echo(f"time    {(time.monotonic() - began) / 60:.1f} of {minutes:g} minutes")


def _export_without_labels(folder: Location, target: Path) -> None:
    """Export the model that tables of other images favour, and say what it is worth."""
    from sweep.export import export
    from sweep.planning.without_labels import CHOSEN_BY, favoured
    from sweep.tables.results import Results

    results = Results(folder)
    chosen = favoured(results.trials.to_pylist(), results.config.space.points)
    if chosen is None:
        echo("Nothing is exported: every model collapsed or failed. `sweep show` says how.")
        return
    if target.exists():
        echo(f"{target} exists already. Export  sweep export {folder} --trial {chosen} -o OTHER")
        return
    export(results, target, trial_id=chosen, chosen_by=CHOSEN_BY)
    echo(
        f"Exported {target}: model {chosen}, chosen by {CHOSEN_BY}. Without labels nothing tells "
        "how good it is. Some labelled images would: give a folder with a folder for each class."
    )
