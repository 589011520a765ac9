"""The options and arguments that several groups of commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweep.storage import files
from sweep.storage.files import Place

RESULTS: Place = Path("results")
ResultsDir = Annotated[
    Place,
    typer.Option(
        "--results",
        parser=files.place,
        metavar="DIR",
        help="Where the studies are: a folder, or s3://BUCKET/PREFIX.",
    ),
]
StudyName = Annotated[str, typer.Argument(help="The study's name under --results, or its path.")]
Address = Annotated[
    str | None, typer.Option(help="Join a running Ray cluster: auto, or HOST:PORT.")
]
