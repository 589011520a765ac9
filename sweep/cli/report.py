"""The commands that show studies in a browser, or as pictures: report and view."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir
from sweep.cli.output import echo
from sweep.core.errors import UserError
from sweep.log import study_folder
from sweep.storage.location import Location

if TYPE_CHECKING:
    from sweep.tables.results import Results


def report(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY...", help="Studies, shown side by side.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .html file. Default: report.html."),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each picture as .png, too.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each picture as .svg, too.")
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Write a page that shows studies.

    The page is one file, which needs no network. With --png or --svg and without -o, only the
    pictures are written.

    Example: sweep report quickstart -o report.html
    """
    from sweep.report.study import read
    from sweep.report.write import write_page, write_pictures

    loaded = [read(one) for one in _loaded(results, studies)]
    for folder, form in ((png, "png"), (svg, "svg")):
        if folder is not None:
            files = write_pictures(loaded, folder, form)
            echo(f"Wrote {len(files)} pictures to {folder}: {', '.join(f.stem for f in files)}.")
    if output is not None or (png is None and svg is None):
        page = output or Path("report.html")
        size = write_page(loaded, page)
        echo(f"Wrote {page} ({size / 1e6:.1f} MB). Open it in a browser.")


def view(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY...]", help="Default: all studies.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1. Default: any free one.")
    ] = 0,
    results: ResultsDir = RESULTS,
) -> None:
    """Show studies in a browser while they run.

    The page of `sweep report`, live, from a server on 127.0.0.1 that only reads. Ctrl-C ends it.
    From another machine: ssh -L PORT:127.0.0.1:PORT HOST

    Example: sweep view quickstart
    """
    from sweep.report.server import Server

    named = {one.name: one.location for one in _loaded(results, studies or [])}

    def seen() -> dict[str, Location]:
        return named or {folder.name: folder for folder in study_folder.listing(results)}

    try:
        server = Server(studies=seen, port=port)
    except OSError as error:
        raise UserError(
            f"Port {port} is not free ({error.strerror}). Give another --port."
        ) from None
    only = next(iter(named)) if len(named) == 1 else None
    echo(f"View  {server.page_of(only) if only else server.address}")
    echo("Ctrl-C ends this server.")
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()


def _loaded(results: Location, names: list[str]) -> list[Results]:
    """Return the results of each study; `UserError` if one is named twice."""
    from sweep.tables.results import load

    loaded = [load(name, results=results) for name in dict.fromkeys(names)]
    by_name = {one.name for one in loaded}
    if len(by_name) < len(loaded):
        raise UserError(
            "Two of these studies have the same name, so a report cannot tell them apart. Name "
            "only one of them."
        )
    return loaded
