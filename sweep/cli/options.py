"""The options and arguments that several groups of commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.storage.location import Location, locate

RESULTS = locate("results")
ResultsDir = Annotated[
    Location,
    typer.Option(
        "--results",
        parser=locate,
        metavar="DIR",
        help="Where the studies are: a folder, or s3://BUCKET/PREFIX.",
    ),
]
StudyName = Annotated[str, typer.Argument(help="The study's name under --results, or its path.")]
Address = Annotated[
    str | None, typer.Option(help="Join a running Ray cluster: auto, or HOST:PORT.")
]
JobServer = Annotated[
    str | None,
    typer.Option("--address", help="The study is a job of the cluster at http://HOST:8265."),
]
