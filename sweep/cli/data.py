"""The commands about images: how they are read, and what the cache holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.output import echo
from sweep.config.study import StudyConfig
from sweep.core.errors import UserError
from sweep.core.text import one_line


def data(
    path: Annotated[Path, typer.Argument(help="A folder of images, or a Parquet table of images.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Keys of [data] and [augment], for example data.size=64", metavar="KEY=VALUE"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read names, labels and 256 headers only.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            metavar="SHEET.png",
            help="Draw some images of each class, and two augmented views of each.",
        ),
    ] = None,
) -> None:
    """Say how images are read.

    Sizes, channels, labels and why, classes, splits, and what is left out. Nothing is trained.
    `sweep run` reads the images in the same way.

    Example: sweep data photos data.size=64 -o sheet.png
    """
    from sweep.cli.progress import decoding
    from sweep.datasets.inspect import inspect
    from sweep.datasets.reading.report import lines_of

    tree = {"data": {"path": str(path)}}
    config = StudyConfig.parse(tree, overrides or [], source="the command")
    with decoding(quiet=False) as progress:
        report = inspect(config.data, quick=quick, progress=progress)
    if as_json:
        echo(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        for line in lines_of(report):
            echo(one_line(line))
    if output is not None:
        from sweep.launch.sheet import write_sheet

        write_sheet(config.data, config.augment, output)
        echo(f"Wrote {output}.", err=as_json)


def cache(
    action: Annotated[str, typer.Argument(help="ls, or rm.", metavar="ls|rm")] = "ls",
    names: Annotated[
        list[str] | None, typer.Argument(help="rm: digests, or their beginnings; or all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="ls: print a list of objects.")] = False,
) -> None:
    """List or remove decoded images.

    This machine keeps them in $SWEEP_CACHE, or ~/.cache/sweep. What is removed is decoded again
    when a study needs it.

    Example: sweep cache rm 3f2a
    """
    from sweep.datasets.entries import entries, remove

    if action == "ls":
        found = entries()
        if as_json:
            echo(json.dumps([entry.to_json() for entry in found], indent=1, ensure_ascii=False))
            return
        for entry in found:
            echo(one_line(f"{entry.digest}  {entry.bytes / 1e6:9.1f} MB  {', '.join(entry.paths)}"))
        if not found:
            echo("The cache is empty.")
        return
    if action != "rm":
        raise UserError(f"`sweep cache {action}` is not known. Type `sweep cache ls` or `rm`.")
    if not names:
        raise UserError("`sweep cache rm` needs a DIGEST of `sweep cache ls`, or all.")
    for entry in remove(names):
        echo(f"Removed {entry.digest} ({entry.bytes / 1e6:.1f} MB).")
