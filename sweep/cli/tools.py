"""The commands about the machine and this package: doctor, bench."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import RESULTS, Address, ResultsDir
from sweep.cli.output import Json, echo
from sweep.core.errors import UserError
from sweep.core.text import one_line

EXIT_WRONG = 1


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
            echo(one_line(f"{one.state:8} {one.check:16} {one.seen}"))
            if one.cure:
                echo(one_line(f"{'':8} {'':16} -> {one.cure}"))
    if as_json:
        echo(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
    if any(one.state == "wrong" for one in found):
        raise typer.Exit(EXIT_WRONG)


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
    echo(figure.to_json() if as_json else figure.to_text())
