"""The command line: each command parses, calls one function, prints.

Exit codes: 0; 1 every trial failed; 2 the user's error; 75 stopped, resumable; 130 Ctrl-C.
Heavy modules are imported inside the commands that need them, so that `sweep ls` is quick.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from sweep.config.models import StudyConfig
from sweep.core.errors import (
    OtherFormat,
    QueryError,
    StudyError,
    StudyWarning,
    SweepError,
    UserError,
)
from sweep.core.text import Form, clean, one_line, to_text
from sweep.log import store
from sweep.runners.interrupt import EXIT_INTERRUPTED, Interrupted, ending_at_once, leaving_in_time
from sweep.storage import files
from sweep.storage.files import Place

if TYPE_CHECKING:
    import pyarrow as pa

    from sweep.core.records import Outcome
    from sweep.replay.landscape import Landscape
    from sweep.tables.results import Results

EXIT_ALL_FAILED = 1
EXIT_WRONG = 1
PATIENCE_SECONDS = 5.0
"""After which a query that does not end when it is told to is ended with its process."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Choose self-supervised models on a budget: pretrain a grid, measure alpha, probe few.",
)

ResultsDir = Annotated[
    Place,
    typer.Option(
        "--results",
        parser=files.place,
        metavar="DIR",
        help="Of the studies: a folder, or s3://BUCKET/PREFIX.",
    ),
]
StudyName = Annotated[str, typer.Argument(help="A name under --results, or a path.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="key=value, for example train.epochs=5", metavar="KEY=VALUE"),
]
Json = Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")]
AsTable = Annotated[bool, typer.Option("--table", help="Print aligned columns (the default).")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the result only.")]
Runner = Annotated[
    str | None, typer.Option(help="ray, or local: in process, one trial at a time, without Ray.")
]
Address = Annotated[
    str | None, typer.Option(help="Join a running Ray cluster: auto, or HOST:PORT.")
]
RepeatTop = Annotated[
    int, typer.Option("--repeat-top", min=0, help="Then train the best K again, with fresh seeds.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Fresh seeds for each of these.")]
RESULTS: Place = Path("results")


@app.command()
def run(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A TOML file; `sweep init` writes one.")],
    overrides: Overrides = None,
    results: ResultsDir = RESULTS,
    runner: Runner = None,
    address: Address = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run.")] = False,
    repeat_top: RepeatTop = 0,
    seeds: Seeds = 3,
    quiet: Quiet = False,
) -> None:
    """Run a study.

    Example: sweep run experiments/quickstart.toml train.epochs=5 resources.parallel=2
    """
    _take_signals(context)
    from sweep.launch import launch

    changes = [*(overrides or []), *_resources(runner, address)]
    study = StudyConfig.load(config, changes)
    if dry_run:
        _dry_run(study, config.resolve().parent)
        return
    outcome = launch.run(
        config, results=results, overrides=changes, watch=_watcher(quiet=quiet), warn=_note
    )
    _end(outcome, results / study.name)
    if repeat_top:
        _repeat(results / study.name, repeat_top, seeds, quiet=quiet)


@app.command()
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
    """Take a study up where it stopped; what is finished is not run again.

    Budget and resources may change, and the space may grow.
    Example: sweep resume quickstart budget.probes=20
    """
    _take_signals(context)
    from sweep.tables.results import Results

    folder = store.find(results, study)
    changes = [*(overrides or []), *_resources(runner, address)]
    outcome = None if changes else Results(folder).outcome
    if outcome is None:
        from sweep.launch import launch  # torch and all: a finished study is shown in less time

        outcome = launch.resume(folder, overrides=changes, watch=_watcher(quiet=quiet), warn=_note)
    _end(outcome, folder)
    if repeat_top:
        _repeat(folder, repeat_top, seeds, quiet=quiet)


@app.command()
def stop(study: StudyName, results: ResultsDir = RESULTS) -> None:
    """Ask a running study to stop, from another terminal; it can be resumed.

    Example: sweep stop quickstart
    """
    from sweep.runners.interrupt import request_stop
    from sweep.storage.lease import driver as driver_of

    folder = store.find(results, study)
    driver = driver_of(folder)
    if driver is None:
        raise StudyError(f"Nobody runs {folder}. `sweep resume {folder}` goes on with it.")
    request_stop(folder)
    _say(f"Asked {driver} to stop. `sweep resume {folder}` goes on with it.")


@app.command()
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
    _say(f"Wrote {path}. `sweep run {path} --dry-run` shows what it would do.")


@app.command("ls")
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

    form = _form(as_json, as_csv, as_table)
    folders = [folder for folder in store.listing(results) if _readable(folder)]
    if not folders and form == "table":
        _say(f"No study in {results}. `sweep run experiments/quickstart.toml` makes one.")
        return
    sql = (
        "SELECT study, status, candidates, pretrained, probes, failures, winner, "
        "device_seconds FROM studies ORDER BY study"
    )
    if folders:
        _show(query(folders, sql), form)
    else:
        _say("[]" if as_json else "")


def _readable(folder: Place) -> bool:
    """Return whether a study's log has a format that we read; print why, if not."""
    try:
        next(store.scan(folder / store.EVENTS), None)
    except OtherFormat as error:
        _note(f"{folder} is left out. {error}")
        return False
    except StudyError:
        pass  # a damaged log is listed as far as it can be read
    return True


@app.command()
def show(
    study: StudyName,
    why: Annotated[
        str | None, typer.Option(metavar="TRIAL", help="What the rule knew of one, and decided.")
    ] = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Show every trial of a study, the best first, and how far the study is.

    Example: sweep show quickstart --why 77ce4ca22b
    """
    from sweep.cli.summary import every_trial, explained, of_trials

    form = _form(as_json, as_csv, as_table)
    found = _load(results, study)
    if why is not None:
        _show(explained(found, why), form)
        return
    _show(every_trial(found), form)
    if form == "table":
        _say("\n".join(["", *of_trials(found)]))


@app.command()
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

    found = _load(results, study)
    row = best_trials(found, 1)
    if row.num_rows == 0:
        raise StudyError(f"Nothing of {found.name} is probed yet. `sweep show {study}` tells more.")
    _show(row, _form(as_json, as_csv, as_table))


@app.command()
def query(
    words: Annotated[list[str], typer.Argument(metavar="STUDY... SQL")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long it may take.")] = 30.0,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Answer one SELECT over the tables of one or several studies, which it only reads.

    Tables: trials, observations, measures, spectra, verdicts, studies.
    Example: sweep query quickstart "SELECT d, lambd, alpha FROM trials ORDER BY alpha" --csv
    """
    from sweep.cli import process_limits
    from sweep.tables.query import MEMORY_BYTES
    from sweep.tables.query import query as ask

    form = _form(as_json, as_csv, as_table)
    *studies, sql = words
    if not studies:
        raise QueryError(
            'A query names a study and then a SELECT: sweep query STUDY "SELECT d FROM trials".'
        )
    folders = [store.find(results, study) for study in studies]

    def too_late() -> None:
        _say(f"Error: The query took longer than {seconds:g} s and was ended.", err=True)

    with (
        process_limits.memory(MEMORY_BYTES),
        process_limits.time(
            seconds + PATIENCE_SECONDS, say=too_late, exit_code=QueryError.exit_code
        ),
    ):
        try:
            text = _shown(ask(folders, sql, seconds=seconds), form)
        except MemoryError:
            raise QueryError(
                f"The result needs more than {MEMORY_BYTES / 1e9:g} GB as text. Select fewer rows "
                "or columns, for example with LIMIT 1000."
            ) from None
    _put(text)


@app.command()
def export(
    study: StudyName,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors to write.")],
    trial: Annotated[str | None, typer.Option(help="By default the winner.")] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Write an encoder's weights, and a JSON beside them that says how they were made.

    Example: sweep export quickstart -o encoder.safetensors
    """
    from sweep.export import export as write

    about = write(_load(results, study), output, trial_id=trial)
    _say(f"Wrote {output} and {output.with_suffix('.json')} (trial {about['trial_id']}).")
    _say(f'In Python: sweep.load_encoder("{output}").encoder')


@app.command()
def landscape(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A study, a .parquet or a .csv file.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it as Parquet.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it, too: a .svg, .png or .pdf.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="OURS=THEIRS", help="A column's name.")
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Show what a study's trials came to; write them as a table over which rules are replayed.

    Example: sweep landscape digits -o digits.parquet --plot digits.svg
    """
    from sweep.replay.landscape_files import write
    from sweep.replay.statistics import correlations, pivot

    if output is not None and output.resolve() == Path(table).resolve():
        raise UserError(f"{output} is the table itself. Give -o another name.")
    shown = _table(table, results, columns)
    found = correlations(shown)
    if plot is not None:
        from sweep.replay.plot import write as draw

        draw(shown, found, plot)
        _say(f"Drew {plot}.")
    if output is not None:
        write(shown, output, about=_about(table, results))
        _say(f"Wrote {output}: {len(shown)} candidates.")
    _say("\nRank correlation with accuracy:")
    _show(found, "table")
    for name in ("accuracy", "alpha"):
        if (over := pivot(shown, name)) is not None:
            _say(f"\n{name} over d and lambda:")
            _show(over, "table")


@app.command()
def replay(
    tables: Annotated[
        list[str], typer.Argument(metavar="TABLE...", help="Studies, .parquet or .csv files.")
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Reproduce every verdict of a study's log instead.")
    ] = False,
    rules: Annotated[
        str, typer.Option(help="Names with a comma between; NAME:key=value+key=value sets one.")
    ] = "goldilocks,paper,random",
    parallel: Annotated[int, typer.Option(min=1, help="M, workers at once.")] = 10,
    orders: Annotated[int, typer.Option(min=1, help="Random orders of each table.")] = 1000,
    draws: Annotated[
        int, typer.Option(min=0, help="Draws of the candidates, for the intervals.")
    ] = 100,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="OURS=THEIRS", help="A column's name.")
    ] = None,
    leave_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of a table that each order leaves out.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of orders and draws.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the rows as Parquet, too.")
    ] = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Compare rules over complete tables of trials, on a virtual clock.

    Example: sweep replay digits.parquet --rules goldilocks,paper,random --orders 100 --json
    """
    from sweep.replay import simulate as engine

    form = _form(as_json, as_csv, as_table)
    if verify:
        from sweep.replay.verify import verify_study

        for name in tables:
            said = verify_study(store.find(results, name))
            _say(f"{name}: {said.verdicts} verdicts reproduced.")
            if said.difference is not None:
                raise StudyError(f"{name} differs: {said.difference}.")
        return
    landscapes = [_table(name, results, columns) for name in tables]
    names = [name.replace("+", ",") for name in rules.split(",")]
    rows = [
        row
        for landscape in landscapes
        for row in engine.compare(
            landscape,
            names,
            parallel=parallel,
            orders=orders,
            draws=draws,
            seed=seed,
            leave_out=leave_out,
        )
    ]
    _show(engine.to_table(rows, output, brief=form == "table"), form)


@app.command()
def select(
    table: Annotated[str, typer.Argument(help="A .csv or .parquet; accuracies may be empty.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Models to probe next.")] = 4,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="OURS=THEIRS", help="A column's name.")
    ] = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Say which of models that exist already to probe next, and why. Trains nothing.

    Example: sweep select models.csv -n 4 --column alpha=alpha_4_100
    """
    from sweep.replay.select import Selector, suggested

    form = _form(as_json, as_csv, as_table)
    selector = Selector.of(_table(table, results, columns))
    _show(suggested(selector.ask(count)), form)
    if form == "table":
        _say("\n".join(["", *selector.summary()]))


@app.command()
def doctor(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY] [CONFIG.toml]", help="What to look at.")
    ] = None,
    results: ResultsDir = RESULTS,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with this machine, its storage, its cluster or a study; exit 1 if anything.

    Example: sweep doctor mine.toml --results s3://bucket/prefix
    """
    from sweep.doctor import examine

    configs = [word for word in what or [] if word.endswith(".toml")]
    studies = [word for word in what or [] if not word.endswith(".toml")]
    if len(configs) > 1 or len(studies) > 1:
        raise UserError("`sweep doctor` looks at one STUDY and one CONFIG.toml at most.")
    config = Path(configs[0]) if configs else None
    found = []
    for one in examine(
        results=results, name=studies[0] if studies else None, config=config, address=address
    ):
        found.append(one)
        if not as_json:
            _say(one_line(f"{one.state:8} {one.check:16} {one.seen}"))
            if one.cure:
                _say(one_line(f"{'':8} {'':16} -> {one.cure}"))
    if as_json:
        _say(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
    if any(one.state == "wrong" for one in found):
        raise typer.Exit(EXIT_WRONG)


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(help="train, alpha, probe, overhead, query, crash or scale.")
    ],
    as_json: Json = False,
    device: Annotated[str | None, typer.Option(help="cpu, the default, or cuda.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Of each side, in turn.")] = None,
    kills: Annotated[int | None, typer.Option(min=1, help="Of crash, by default 50.")] = None,
    trials: Annotated[int | None, typer.Option(min=2, help="Of overhead, query, scale.")] = None,
    rule: Annotated[str | None, typer.Option(help="Of scale, by default goldilocks.")] = None,
    runner: Annotated[str | None, typer.Option(help="Of scale: local, or ray.")] = None,
) -> None:
    """Measure one of the project's figures beside its baseline, in turn; or break things.

    Example: sweep bench alpha --json
    """
    from sweep.bench import load

    given = {"device": device, "repeats": repeats, "kills": kills, "trials": trials}
    given |= {"rule": rule, "runner": runner}
    given = {key: value for key, value in given.items() if value is not None}
    measure = load(name)
    if unknown := given.keys() - inspect.signature(measure).parameters.keys():
        raise UserError(f"`sweep bench {name}` takes no --{min(unknown)}.")
    figure = measure(**given)
    _say(figure.to_json() if as_json else figure.to_text())


def main() -> NoReturn:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks some letters
    sys.exit(run_command(sys.argv[1:]))


def run_command(words: list[str]) -> int:
    """Run one command and return its exit code; a user's error is one sentence."""
    try:
        with _notes():
            code = app(words, prog_name="sweep", standalone_mode=False)
    except _WRONG_WORDS as error:
        usage = io.StringIO()
        error.show(usage)
        _say(usage.getvalue().rstrip(), err=True)
        return int(error.exit_code)
    except SystemExit as end:  # how typer says that nobody reads on
        return end.code if isinstance(end.code, int) else 0
    except UserError as error:
        _say(f"Error: {error}", err=True)
        return error.exit_code
    except SweepError as error:
        _say(str(error), err=True)
        return int(getattr(error, "exit_code", 1))
    except Interrupted as signalled:
        _say("Stopped. `sweep resume` goes on with what had begun; see `sweep ls`.", err=True)
        return signalled.exit_code
    except KeyboardInterrupt:
        _say("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `sweep show | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a disk that is full, a folder that may not be read
        _say(f"Error: {error.strerror or error}: {error.filename or 'no file named'}.", err=True)
        return UserError.exit_code
    return code if isinstance(code, int) else 0


_WRONG_WORDS: Any = next(kind for kind in typer.BadParameter.mro() if "Click" in kind.__name__)
"""What the parser raises: of the click that typer has, its own or the other one."""


def _say(text: str, *, err: bool = False) -> None:
    """Print lines, without anything that a terminal would obey."""
    typer.echo(clean(text), err=err)


def _show(table: pa.Table, form: Form) -> None:
    _put(_shown(table, form))


def _put(text: str) -> None:
    """Print text that is fit to be shown as it is; click alone would cut some of CSV's."""
    typer.echo(text, color=True)


def _shown(table: pa.Table, form: Form) -> str:
    """Return a table as text; CSV as it is, unless a terminal would show it."""
    text = to_text(table, form)
    return text if form == "csv" and not sys.stdout.isatty() else clean(text)


def _take_signals(context: typer.Context) -> None:
    """From now on a signal ends the command, resumable, and in time; a study has its own ways."""
    context.with_resource(leaving_in_time())
    context.with_resource(ending_at_once())


def _resources(runner: str | None, address: str | None) -> list[str]:
    given = {"runner": runner, "address": address}
    return [f"resources.{name}={json.dumps(value)}" for name, value in given.items() if value]


def _watcher(*, quiet: bool) -> Any:
    from sweep.cli.progress import Watcher

    return Watcher(Console(highlight=False, markup=False, emoji=False), quiet=quiet)


def _note(sentence: str) -> None:
    _say(f"Note: {sentence}", err=True)


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    """Print warnings about studies as notes, each once."""
    said = set[str]()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, StudyWarning):
            others(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            _note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", StudyWarning)
        others = warnings.showwarning
        warnings.showwarning = show
        yield


def _dry_run(study: StudyConfig, path: Path) -> None:
    from sweep.cli.progress import duration
    from sweep.core.plugins import importable
    from sweep.launch.estimate import estimate
    from sweep.launch.preflight import doubts, prepare
    from sweep.runners.devices import devices

    importable(path)
    prepared = prepare(study)
    share = devices(study)
    for number, candidate in enumerate(prepared.candidates, start=1):
        point = "  ".join(f"{name}={value}" for name, value in candidate.point.items())
        _say(one_line(f"{number:4}  {candidate.trial_id}  {point}"))
    _say(f"\n{len(prepared.candidates)} candidates, {share.parallel} at once")
    for sentence in doubts(prepared):
        _note(sentence)
    guess = estimate(prepared, share)
    if guess is None:
        _say("No estimate: how long your own training takes is not known here.")
        return
    least, most = guess.trial_seconds
    _say(f"disk        {guess.disk_bytes / 1e6:.0f} MB at most")
    _say(f"pretraining {duration(least)} to {duration(most)} for a candidate")
    _say(f"in all      about {duration(guess.wall_seconds)}, probes and measures left out")
    _say(f"devices     {guess.device_seconds / 3600:.2f} hours")
    if guess.money:
        _say(f"money       {guess.money:.2f}")


def _end(outcome: Outcome, folder: Place) -> None:
    """Print what a study came to; exit 1 where every trial failed."""
    from sweep.cli.summary import of_study, of_trials
    from sweep.tables.results import Results

    found = Results(folder)
    if set(found.trials["status"].to_pylist()) == {"failed"}:
        _say("\n".join(of_trials(found)))
        _say("Every trial failed.", err=True)
        raise typer.Exit(EXIT_ALL_FAILED)
    _say("\n".join(of_study(found, outcome)))


def _table(name: str, results: Place, columns: list[str] | None) -> Landscape:
    """Return the table at a path, or of a study."""
    from sweep.replay.landscape_files import load

    given = dict(_column(text) for text in columns or [])
    return load(Path(name) if _is_file(name) else store.find(results, name), columns=given)


def _is_file(name: str) -> bool:
    return Path(name).suffix in (".parquet", ".csv")


def _about(name: str, results: Place) -> dict[str, Any]:
    """Return where a table comes from: a study's config, or a file's name.

    A table is given away: of the images' path only the last part goes with it.
    """
    if _is_file(name):
        return {"table": Path(name).name}
    config = _load(results, name).config.model_dump(mode="json")
    if (path := config["data"]["path"]) is not None:
        config["data"]["path"] = Path(path).name
    return {"config": config}


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise UserError(f"--column {text!r} is not OURS=THEIRS, for example alpha=alpha_4_100.")
    return ours.strip(), theirs.strip()


def _repeat(folder: Place, top: int, seeds: int, *, quiet: bool) -> None:
    """Train the leaders again, in a study of their own, and print what they come to."""
    from sweep.launch import launch
    from sweep.launch.repeats import SUFFIX, intervals, plan

    again = folder.with_name(folder.name + SUFFIX)
    _say(f"\nThe best {top} again, {seeds} fresh seeds each, in {again}:")
    if store.is_study(again):
        launch.resume(again, watch=_watcher(quiet=quiet), warn=_note)
    else:
        config = plan(folder, top=top, seeds=seeds)
        launch.run(config, results=folder.parent, watch=_watcher(quiet=quiet), warn=_note)
    _show(intervals(_load(folder.parent, again.name)), "table")


def _load(results: Place, study: str) -> Results:
    from sweep.tables.results import load

    return load(study, results=results)


def _form(as_json: bool, as_csv: bool, as_table: bool) -> Form:
    if as_json + as_csv + as_table > 1:
        raise UserError("--json, --csv and --table exclude each other; give one.")
    return "json" if as_json else "csv" if as_csv else "table"
