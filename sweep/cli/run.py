"""The commands that start and continue studies: run, resume, init."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sweep.cli.options import RESULTS, Address, ResultsDir, StudyName
from sweep.cli.output import echo, echo_table, note
from sweep.config.study import StudyConfig
from sweep.core.errors import UserError
from sweep.core.text import one_line
from sweep.log import study_folder
from sweep.runners.interrupt import ending_at_once, leaving_in_time
from sweep.storage.location import Location

if TYPE_CHECKING:
    from sweep.core.records import Outcome

EXIT_ALL_FAILED = 1
UNKNOWN = "not read yet"

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Fields to change, for example train.epochs=5", metavar="KEY=VALUE"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the result only.")]
Runner = Annotated[
    str | None,
    typer.Option(help="ray, or local: without Ray, one trial at a time, in this process."),
]
Plugins = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The folder of the modules that the config names. run: by default the config's. "
        "resume: where the study began, or else the current folder.",
    ),
]
RepeatTop = Annotated[
    int,
    typer.Option(
        "--repeat-top", min=0, help="Train the best K again afterwards, with fresh seeds."
    ),
]
Seeds = Annotated[int, typer.Option(min=1, help="How many fresh seeds each of the best K gets.")]


def run(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A TOML file. `sweep init` writes one.")],
    overrides: Overrides = None,
    results: ResultsDir = RESULTS,
    runner: Runner = None,
    address: Address = None,
    plugins: Plugins = None,
    or_resume: Annotated[
        bool,
        typer.Option(
            "--or-resume",
            help="Continue the study if it has begun with this config; print its result if it "
            "has ended.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and run nothing.")
    ] = False,
    repeat_top: RepeatTop = 0,
    seeds: Seeds = 3,
    quiet: Quiet = False,
) -> None:
    """Run a study.

    Unless the config names a rule, the rule is chosen before the study begins, and a line says
    which: race where a probe costs little compared with a trial; race with labels = "end" where it
    costs more; goldilocks where trials cannot be paused; none where there are no labels.

    A scheduler that starts the same command again after a preemption wants --or-resume. The study
    is then continued, and another config is refused. If another process drives the study, the
    command waits a minute for it to end, and exits with 75.

    Example: sweep run experiments/quickstart.toml train.epochs=5 resources.parallel=2
    """
    take_signals(context)
    from sweep.launch import launch
    from sweep.launch.run_or_resume import run_or_resume

    changes = [*(overrides or []), *_resources(runner, address)]
    study = StudyConfig.load(config, changes, warn=note if dry_run else lambda sentence: None)
    if dry_run:
        _dry_run(study, launch.plugins_folder(config, plugins))
        return
    outcome = (run_or_resume if or_resume else launch.run)(
        config,
        results=results,
        overrides=changes,
        plugins=plugins,
        watch=watcher(quiet=quiet),
        warn=note,
        tell=launch.untold if quiet else print_line,
        read=_reader(quiet=quiet),
    )
    end(outcome, results / study.name)
    if repeat_top:
        _repeat(results / study.name, repeat_top, seeds, quiet=quiet)


def resume(
    context: typer.Context,
    study: StudyName,
    overrides: Overrides = None,
    results: ResultsDir = RESULTS,
    runner: Runner = None,
    address: Address = None,
    plugins: Plugins = None,
    repeat_top: RepeatTop = 0,
    seeds: Seeds = 3,
    quiet: Quiet = False,
) -> None:
    """Continue a study where it stopped.

    Finished stages are not run again. The budget and the resources may change, and the space may
    grow.

    Example: sweep resume quickstart budget.probes=20
    """
    take_signals(context)
    from sweep.tables.results import Results

    folder = study_folder.find(results, study)
    changes = [*(overrides or []), *_resources(runner, address)]
    outcome = None if changes else Results(folder).outcome
    if outcome is None:
        from sweep.launch import (
            launch,
        )  # here, since it imports torch, which a finished study needs not

        outcome = launch.resume(
            folder,
            overrides=changes,
            plugins=plugins,
            watch=watcher(quiet=quiet),
            warn=note,
            tell=launch.untold if quiet else print_line,
            read=_reader(quiet=quiet),
        )
    end(outcome, folder)
    if repeat_top:
        _repeat(folder, repeat_top, seeds, quiet=quiet)


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("study.toml"),
) -> None:
    """Write a commented config to start from.

    Example: sweep init mine.toml && sweep run mine.toml --dry-run
    """
    if path.exists():
        raise UserError(f"{path} exists already. Name another file: sweep init OTHER.toml.")
    try:
        path.write_text(resources.files("sweep.config").joinpath("starter.toml").read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
    echo(f"Wrote {path}. `sweep run {path} --dry-run` shows what it would do.")


def print_line(line: str) -> None:
    """Print a line about the images or the rule; names of classes may hold anything."""
    echo(one_line(line))


def take_signals(context: typer.Context) -> None:
    """Let a signal end this command soon, and resumable, until the study handles signals itself."""
    context.with_resource(leaving_in_time())
    context.with_resource(ending_at_once())


def _resources(runner: str | None, address: str | None) -> list[str]:
    """Return --runner and --address as overrides of the config."""
    options = {"runner": runner, "address": address}
    return [f"resources.{name}={json.dumps(value)}" for name, value in options.items() if value]


def watcher(*, quiet: bool) -> Any:
    """Return what prints a study's progress."""
    from sweep.cli.progress import Watcher

    return Watcher(Console(highlight=False, markup=False, emoji=False), quiet=quiet)


def _reader(*, quiet: bool) -> Any:
    """Return what reads images, with a bar while they are decoded."""
    from sweep.cli.progress import decoding
    from sweep.config.models import DataConfig
    from sweep.datasets.cache import Data, load

    def read(config: DataConfig) -> Data:
        with decoding(quiet=quiet) as progress:
            return load(config, progress=progress)

    return read


def _dry_run(study: StudyConfig, plugins: Path | None) -> None:
    """Print the candidates and an estimate of what the study takes."""
    from sweep.cli.progress import duration
    from sweep.core.plugins import importable
    from sweep.datasets.cache import glance
    from sweep.launch import told
    from sweep.launch.estimate import estimate
    from sweep.launch.preflight import doubts, prepare
    from sweep.runners.devices import devices

    importable(plugins)
    prepared = prepare(study, read=glance)
    trial_devices = devices(study)
    known = prepared.data is None or bool(prepared.data_digest)  # names of trials need the images
    for number, candidate in enumerate(prepared.candidates, start=1):
        point = "  ".join(f"{name}={value}" for name, value in candidate.point.items())
        echo(one_line(f"{number:4}  {candidate.trial_id if known else UNKNOWN}  {point}"))
    at_once = f"{trial_devices.parallel} at once"
    if trial_devices.processes > 1:
        at_once += f", {trial_devices.processes} processes each"
    echo(f"\n{len(prepared.candidates)} candidates, {at_once}")
    for line in told.lines(told.reports(prepared.config, prepared.data, glance)):
        echo(one_line(line))
    if prepared.choice is not None:
        echo(prepared.choice.line)
    if sources := prepared.prior.sources:
        several = ", ".join(f"{s.name} ({len(s.accuracies)} models)" for s in sources)
        echo(one_line(f"prior       {several}"))
    elif "prior" in prepared.config.rule.parameters:
        echo("prior       none")
    for sentence in doubts(prepared):
        note(sentence)
    estimated = estimate(prepared, trial_devices)
    if estimated is None:
        echo("No estimate: how long your own training code takes is not known.")
        return
    shortest, longest = estimated.trial_seconds
    echo(f"disk        {estimated.disk_bytes / 1e6:.0f} MB at most")
    echo(f"pretraining {duration(shortest)} to {duration(longest)} for a candidate")
    echo(f"in all      about {duration(estimated.wall_seconds)}, without probes and measures")
    echo(f"devices     {estimated.device_seconds / 3600:.2f} hours")
    if estimated.money:
        echo(f"money       {estimated.money:.2f}")


def end(outcome: Outcome, folder: Location) -> None:
    """Print a study's results; exit with 1 if every trial failed."""
    from sweep.cli.summary import of_study, of_trials
    from sweep.tables.results import Results

    results = Results(folder)
    if set(results.trials["status"].to_pylist()) == {"failed"}:
        echo("\n".join(of_trials(results)))
        echo("Every trial failed.", err=True)
        raise typer.Exit(EXIT_ALL_FAILED)
    echo("\n".join(of_study(results, outcome)))


def _repeat(folder: Location, top: int, seeds: int, *, quiet: bool) -> None:
    """Train the best candidates again, in a new study, and print their means and intervals."""
    from sweep.launch import launch
    from sweep.launch.repeats import SUFFIX, intervals, plan
    from sweep.tables.results import Results

    repeats = folder.with_name(folder.name + SUFFIX)
    echo(f"\nThe best {top} again, {seeds} fresh seeds each, in {repeats}:")
    if study_folder.is_study(repeats):
        launch.resume(repeats, watch=watcher(quiet=quiet), warn=note)
    else:
        config = plan(folder, top=top, seeds=seeds)
        launch.run(config, results=folder.parent, watch=watcher(quiet=quiet), warn=note)
    echo_table(intervals(Results(repeats)), "table")
