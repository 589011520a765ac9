"""The commands that start, continue and stop studies: run, resume, stop, init."""

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
from sweep.core.errors import StudyError, UserError
from sweep.core.text import one_line
from sweep.log import study_folder
from sweep.runners.interrupt import ending_at_once, leaving_in_time
from sweep.storage.location import Location

if TYPE_CHECKING:
    from sweep.core.records import Outcome

EXIT_ALL_FAILED = 1

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Fields to change, for example train.epochs=5", metavar="KEY=VALUE"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the result only.")]
Runner = Annotated[
    str | None,
    typer.Option(help="ray, or local: without Ray, one trial at a time, in this process."),
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

    Example: sweep run experiments/quickstart.toml train.epochs=5 resources.parallel=2
    """
    _take_signals(context)
    from sweep.launch import launch

    changes = [*(overrides or []), *_resources(runner, address)]
    study = StudyConfig.load(config, changes, warn=note if dry_run else lambda sentence: None)
    if dry_run:
        _dry_run(study, config.resolve().parent)
        return
    outcome = launch.run(
        config,
        results=results,
        overrides=changes,
        watch=_watcher(quiet=quiet),
        warn=note,
        tell=launch.untold if quiet else echo,
    )
    _end(outcome, results / study.name)
    if repeat_top:
        _repeat(results / study.name, repeat_top, seeds, quiet=quiet)


def resume(
    context: typer.Context,
    study: StudyName,
    overrides: Overrides = None,
    results: ResultsDir = RESULTS,
    runner: Runner = None,
    address: Address = None,
    repeat_top: RepeatTop = 0,
    seeds: Seeds = 3,
    quiet: Quiet = False,
) -> None:
    """Continue a study where it stopped. Finished stages are not run again.

    The budget and the resources may change, and the space may grow.

    Example: sweep resume quickstart budget.probes=20
    """
    _take_signals(context)
    from sweep.tables.results import Results

    folder = study_folder.find(results, study)
    changes = [*(overrides or []), *_resources(runner, address)]
    outcome = None if changes else Results(folder).outcome
    if outcome is None:
        from sweep.launch import (
            launch,
        )  # here, since it imports torch, which a finished study needs not

        outcome = launch.resume(folder, overrides=changes, watch=_watcher(quiet=quiet), warn=note)
    _end(outcome, folder)
    if repeat_top:
        _repeat(folder, repeat_top, seeds, quiet=quiet)


def stop(study: StudyName, results: ResultsDir = RESULTS) -> None:
    """Ask a study that runs in another terminal to stop. It can be resumed.

    Example: sweep stop quickstart
    """
    from sweep.runners.interrupt import request_stop
    from sweep.storage.lease import holder_of

    folder = study_folder.find(results, study)
    driver = holder_of(folder)
    if driver is None:
        raise StudyError(f"No process runs {folder}. `sweep resume {folder}` continues it.")
    request_stop(folder)
    echo(f"Asked {driver} to stop. `sweep resume {folder}` continues it.")


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


def _take_signals(context: typer.Context) -> None:
    """Let a signal end this command soon, and resumable, until the study handles signals itself."""
    context.with_resource(leaving_in_time())
    context.with_resource(ending_at_once())


def _resources(runner: str | None, address: str | None) -> list[str]:
    """Return --runner and --address as overrides of the config."""
    options = {"runner": runner, "address": address}
    return [f"resources.{name}={json.dumps(value)}" for name, value in options.items() if value]


def _watcher(*, quiet: bool) -> Any:
    """Return what prints a study's progress."""
    from sweep.cli.progress import Watcher

    return Watcher(Console(highlight=False, markup=False, emoji=False), quiet=quiet)


def _dry_run(study: StudyConfig, plugins: Path) -> None:
    """Print the candidates and an estimate of what the study takes."""
    from sweep.cli.progress import duration
    from sweep.core.plugins import importable
    from sweep.launch.estimate import estimate
    from sweep.launch.preflight import doubts, prepare
    from sweep.runners.devices import devices

    importable(plugins)
    prepared = prepare(study)
    trial_devices = devices(study)
    for number, candidate in enumerate(prepared.candidates, start=1):
        point = "  ".join(f"{name}={value}" for name, value in candidate.point.items())
        echo(one_line(f"{number:4}  {candidate.trial_id}  {point}"))
    echo(f"\n{len(prepared.candidates)} candidates, {trial_devices.parallel} at once")
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


def _end(outcome: Outcome, folder: Location) -> None:
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
        launch.resume(repeats, watch=_watcher(quiet=quiet), warn=note)
    else:
        config = plan(folder, top=top, seeds=seeds)
        launch.run(config, results=folder.parent, watch=_watcher(quiet=quiet), warn=note)
    echo_table(intervals(Results(repeats)), "table")
