"""The commands over recorded tables: landscape, replay, select."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.options import RESULTS, ResultsDir
from sweep.cli.output import AsTable, Csv, Json, echo, echo_table, form_of
from sweep.core.errors import StudyError, UserError
from sweep.log import study_folder
from sweep.storage.location import Location

if TYPE_CHECKING:
    from sweep.replay.compare import Results
    from sweep.replay.landscape import Landscape

Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="OURS=THEIRS", help="Read the table's column THEIRS as OURS."),
]

UnitOption = Annotated[
    str | None,
    typer.Option("--unit", metavar="percent|fraction", help="Unit of the accuracies of a file."),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out rows with a cell that is not a number.")
]
Tool = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="wandb|optuna|mlflow", help="The tool that exported the tables."
    ),
]


def landscape(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE...",
            help="A study, or a .parquet or .csv file. Several are slices of one table.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table to this .parquet file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the table: a .svg, .png or .pdf file.")
    ] = None,
    columns: Columns = None,
    unit: UnitOption = None,
    skip_bad: SkipBad = False,
    tool: Tool = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Show a study's trials, or write them as a table.

    `sweep replay` and `sweep select` read such a table.

    Example: sweep landscape digits -o digits.parquet --plot digits.svg
    """
    from sweep.replay.join import Slice, join
    from sweep.replay.landscape_files import write
    from sweep.replay.statistics import correlations, main_fields, pivot

    files = _files(columns, unit, tool, skip_bad=skip_bad)
    if output is not None and output.resolve() in [Path(table).resolve() for table in tables]:
        raise UserError(f"{output} is the table itself. Give -o another name.")
    slices = [
        Slice(landscape=_table(table, results, files), about=_about(table, results))
        for table in tables
    ]
    table = join(output.stem if output else slices[0].landscape.name, slices)
    recorded = table.landscape
    correlated = correlations(recorded)
    if plot is not None:
        from sweep.replay.plot import write as draw

        draw(recorded, correlated, plot)
        echo(f"Drew {plot}.")
    if output is not None:
        write(recorded, output, about=table.about)
        echo(f"Wrote {output}: {len(recorded)} candidates.")
    echo("\nRank correlation with accuracy:")
    echo_table(correlated, "table")
    fields = " and ".join(main_fields(recorded)).replace("lambd", "lambda")
    for name in ("accuracy", "alpha"):
        if (grid := pivot(recorded, name)) is not None:
            echo(f"\n{name} over {fields}:")
            echo_table(grid, "table")


def replay(
    tables: Annotated[
        list[str], typer.Argument(metavar="TABLE...", help="Studies, .parquet or .csv files.")
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that the rule repeats every verdict of a study.")
    ] = False,
    rules: Annotated[
        str,
        typer.Option(
            help="Names, separated by commas. NAME:key=value+key=value sets keys of a rule. "
            "A rule of your own, in this folder, is named MODULE:FUNCTION."
        ),
    ] = "goldilocks,paper,random",
    parallel: Annotated[int, typer.Option(min=1, help="How many workers run at once.")] = 10,
    orders: Annotated[
        int, typer.Option(min=1, help="How many random orders of each table.")
    ] = 1000,
    draws: Annotated[
        int,
        typer.Option(min=0, help="How many draws of half of the candidates, for the intervals."),
    ] = 100,
    columns: Columns = None,
    unit: UnitOption = None,
    skip_bad: SkipBad = False,
    tool: Tool = None,
    leave_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of a table that each order leaves out.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the orders and the draws.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the rows to this .parquet file, too."),
    ] = None,
    frontier: Annotated[
        Path | None,
        typer.Option(
            help="Draw the mean regret over all budgets: a .svg, .png or .pdf file. "
            "The numbers go to the .parquet file of the same name."
        ),
    ] = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Compare rules over complete tables of trials.

    The clock is virtual: nothing is trained.

    Example: sweep replay digits.parquet --rules goldilocks,paper,random --orders 100 --json
    """
    from sweep.core.plugins import importable
    from sweep.replay import compare as engine

    form = form_of(as_json, as_csv, as_table)
    files = _files(columns, unit, tool, skip_bad=skip_bad)
    if verify:
        from sweep.replay.verify import verify_study

        for name in tables:
            check = verify_study(study_folder.find(results, name))
            echo(f"{name}: {check.verdicts} verdicts reproduced.")
            if check.difference is not None:
                raise StudyError(f"{name} differs: {check.difference}.")
        return
    if frontier is not None:
        _check_frontier(frontier, tables, output)
    landscapes = [_table(name, results, files) for name in tables]
    importable(Path.cwd())
    names = [name.replace("+", ",") for name in rules.split(",")]
    played = [
        engine.play(
            landscape,
            names,
            parallel=parallel,
            orders=orders,
            draws=draws,
            seed=seed,
            leave_out=leave_out,
        )
        for landscape in landscapes
    ]
    if frontier is not None:
        _draw_frontier(played, frontier)
    rows = [row for of_table in played for row in engine.rows(of_table)]
    echo_table(engine.to_table(rows, output, brief=form == "table"), form)


def _check_frontier(picture: Path, tables: list[str], output: Path | None) -> None:
    """Raise `UserError`, before a long replay, where its files would overwrite others."""
    from sweep.report.render import form_of

    form_of(picture)
    numbers = picture.with_suffix(".parquet").resolve()
    if numbers in [Path(name).resolve() for name in tables]:
        raise UserError(
            f"{picture.with_suffix('.parquet')} is a table. Give --frontier another name."
        )
    if output is not None and numbers == output.resolve():
        raise UserError(f"-o and --frontier both write {output}. Give one of them another name.")


def _draw_frontier(played: list[Results], picture: Path) -> None:
    from sweep.replay.compare import write_table
    from sweep.replay.frontier import frontiers
    from sweep.replay.frontier_plot import write

    table = frontiers(played)
    write_table(table, picture.with_suffix(".parquet"))
    write(table, picture)


def select(
    table: Annotated[
        str, typer.Argument(help="A study, or a .csv or .parquet file. Accuracies may be empty.")
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="How many models to probe next.")] = 4,
    rule: Annotated[
        str, typer.Option(help="The rule, named as by `sweep replay --rules`.")
    ] = "goldilocks",
    columns: Columns = None,
    unit: UnitOption = None,
    skip_bad: SkipBad = False,
    tool: Tool = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Say which existing models to probe, and why.

    Nothing is trained.

    Example: sweep select models.csv -n 4 --column alpha=alpha_4_100
    """
    from sweep.core.plugins import importable
    from sweep.replay.select import Selector, suggested

    form = form_of(as_json, as_csv, as_table)
    files = _files(columns, unit, tool, skip_bad=skip_bad)
    importable(Path.cwd())
    selector = Selector.of(_table(table, results, files), rule=rule.replace("+", ","))
    echo_table(suggested(selector.ask(count)), form)
    if form == "table":
        echo("\n".join(["", *selector.summary()]))


def _files(
    columns: list[str] | None, unit: str | None, tool: str | None, *, skip_bad: bool
) -> dict[str, Any]:
    """Return how files are read: the keywords of `sweep.replay.landscape_files.load`."""
    from sweep.replay.cells import UNITS, Reading

    known = next((known for known in UNITS if known == unit), None)
    if unit is not None and known is None:
        raise UserError(f"--unit is {unit!r}, but must be percent or fraction.")
    return {
        "columns": dict(_column(text) for text in columns or []),
        "reading": Reading(unit=known, skip_bad=skip_bad),
        "tool": tool,
    }


def _table(name: str, results: Location, files: dict[str, Any]) -> Landscape:
    """Return the table of a file or of a study."""
    from sweep.replay.landscape_files import load

    return load(Path(name) if _is_file(name) else study_folder.find(results, name), **files)


def _is_file(name: str) -> bool:
    return Path(name).suffix in (".parquet", ".csv")


def _about(name: str, results: Location) -> dict[str, Any]:
    """Return where a table comes from: a study's config, or a file's name.

    Tables are shared with others, so only the last part of the images' path is kept.
    """
    from sweep.replay.landscape_files import about

    if _is_file(name):
        return {"table": Path(name).name, **about(Path(name))}
    from sweep.tables.results import load

    config = load(name, results=results).config.model_dump(mode="json")
    if (path := config["data"]["path"]) is not None:
        config["data"]["path"] = Path(path).name
    return {"config": config}


def _column(text: str) -> tuple[str, str]:
    """Return both names of `OURS=THEIRS`."""
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise UserError(f"--column {text!r} is not OURS=THEIRS, for example alpha=alpha_4_100.")
    return ours.strip(), theirs.strip()
