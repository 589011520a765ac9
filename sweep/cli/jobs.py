"""The commands about studies that are jobs of a Ray cluster: submit, and the job's own command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir
from sweep.cli.output import echo, note
from sweep.cli.run import Overrides, Plugins
from sweep.cli.run import run as run_study
from sweep.config.study import StudyConfig
from sweep.core.errors import UserError
from sweep.core.text import one_line
from sweep.runners.interrupt import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from sweep.jobs.head import Head

Head_ = Annotated[
    str,
    typer.Option("--address", help="The head's job server: http://HOST:8265.", show_default=False),
]


def submit(
    config: Annotated[Path, typer.Argument(help="A TOML file. `sweep init` writes one.")],
    address: Head_,
    results: Annotated[
        str,
        typer.Option(
            "--results",
            metavar="PLACE",
            help="Where every node finds the studies: s3://BUCKET/PREFIX, or a path on a shared "
            "disk.",
        ),
    ],
    overrides: Overrides = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print the progress until the study ends.")
    ] = False,
    environment: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="K=V", help="A variable of the job; K alone takes it here."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Run a study on a Ray cluster, as a job.

    The job has the study's name. The same command again attaches to the job that runs, or goes on
    with the study where the job has ended. The exit code of --follow is that of the study.

    Example: sweep submit mine.toml --address http://head:8265 --results s3://lab/sweeps --follow
    """
    from sweep.jobs.head import Head
    from sweep.jobs.submit import submit as submit_study

    submitted = submit_study(
        config,
        address=address,
        results=results,
        overrides=overrides or [],
        plugins=plugins,
        environment=_variables(environment or []),
        warn=note,
    )
    name = submitted.name
    match submitted.state:
        case "attached":
            echo(f"attached    to the job {name}, which runs this study already")
        case "waiting":
            echo(f"submitted   {name}; its first step is not done yet")
        case _:
            echo(f"submitted   {name}")
            if not follow:  # else the line comes with the job's output
                echo(one_line(submitted.line))
    if follow:
        _follow(Head(address), name, submitted.attempt)
        return
    echo(f"Follow      the same command with --follow\nStop        {_stop(name, address)}")


def job(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="The staged config.")],
    attempt: Annotated[
        str, typer.Option(help="A word that the output of this attempt begins with.")
    ],
    python: Annotated[str, typer.Option(help="Version of Python where the study was submitted.")],
    version: Annotated[str, typer.Option(help="Version of sweep there.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Check this node, and run a submitted study or continue it. `sweep submit` starts this."""
    from sweep.jobs import first_step
    from sweep.jobs.submit import ATTEMPT

    print(f"{ATTEMPT}{attempt}", flush=True)  # noqa: T201  # unchanged, because `submit` reads it
    first_step.check(
        StudyConfig.load(config),
        results,
        modules=Path.cwd(),
        python=python,
        version=version,
        tell=lambda line: echo(one_line(line)),
    )
    run_study(context, config, results=results, address="auto", plugins=Path.cwd(), or_resume=True)


def _follow(head: Head, name: str, attempt: str) -> None:
    """Print a job's output; exit with the code of the study."""
    from sweep.jobs.follow import follow
    from sweep.jobs.submit import exit_code

    try:
        job = follow(head, name, attempt, lambda text: echo(text, newline=False))
    except KeyboardInterrupt:
        echo(f"\nDetached. The study goes on. Stop it: {_stop(name, head.address)}", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if code := exit_code(job):
        raise typer.Exit(code)


def _stop(name: str, address: str) -> str:
    return f"sweep stop {name} --address {address}"


def _variables(given: list[str]) -> dict[str, str]:
    """Return the variables in `K=V`, and in `K`, whose value is that of this process."""
    variables = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals and name not in os.environ:
            raise UserError(
                f"--env {name}: this shell has no variable {name}. Give --env {name}=V."
            )
        variables[name] = value if equals else os.environ[name]
    return variables
