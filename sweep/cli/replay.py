"""The commands over recorded tables: landscape, replay, select."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.options import RESULTS, ResultsDir
from sweep.cli.output import AsTable, Csv, Json, echo, echo_table, form_of
from sweep.core.errors import StudyError, UserError
from sweep.log import store
from sweep.storage.files import Place

if TYPE_CHECKING:
    from sweep.replay.landscape import Landscape

Columns = Annotated[
    list[str] | None, typer.Option("--column", metavar="OURS=THEIRS", help="A column's name.")
]


def landscape(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A study, a .parquet or a .csv file.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it as Parquet.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it, too: a .svg, .png or .pdf.")] = None,
    columns: Columns = None,
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
        echo(f"Drew {plot}.")
    if output is not None:
        write(shown, output, about=_about(table, results))
        echo(f"Wrote {output}: {len(shown)} candidates.")
    echo("\nRank correlation with accuracy:")
    echo_table(found, "table")
    for name in ("accuracy", "alpha"):
        if (over := pivot(shown, name)) is not None:
            echo(f"\n{name} over d and lambda:")
            echo_table(over, "table")


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
    columns: Columns = None,
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

    form = form_of(as_json, as_csv, as_table)
    if verify:
        from sweep.replay.verify import verify_study

        for name in tables:
            said = verify_study(store.find(results, name))
            echo(f"{name}: {said.verdicts} verdicts reproduced.")
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
    echo_table(engine.to_table(rows, output, brief=form == "table"), form)


def select(
    table: Annotated[str, typer.Argument(help="A .csv or .parquet; accuracies may be empty.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Models to probe next.")] = 4,
    columns: Columns = None,
    results: ResultsDir = RESULTS,
    as_json: Json = False,
    as_csv: Csv = False,
    as_table: AsTable = False,
) -> None:
    """Say which of models that exist already to probe next, and why. Trains nothing.

    Example: sweep select models.csv -n 4 --column alpha=alpha_4_100
    """
    from sweep.replay.select import Selector, suggested

    form = form_of(as_json, as_csv, as_table)
    selector = Selector.of(_table(table, results, columns))
    echo_table(suggested(selector.ask(count)), form)
    if form == "table":
        echo("\n".join(["", *selector.summary()]))


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
    from sweep.tables.results import load

    config = load(name, results=results).config.model_dump(mode="json")
    if (path := config["data"]["path"]) is not None:
        config["data"]["path"] = Path(path).name
    return {"config": config}


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise UserError(f"--column {text!r} is not OURS=THEIRS, for example alpha=alpha_4_100.")
    return ours.strip(), theirs.strip()
