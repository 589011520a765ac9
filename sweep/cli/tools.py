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
        list[str] | None,
        typer.Argument(metavar="[STUDY] [CONFIG.toml]", help="A study or a config to check, too."),
    ] = None,
    results: ResultsDir = RESULTS,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with this machine, its storage, its cluster or a study.

    The exit code is 1 if anything is wrong.

    Example: sweep doctor mine.toml --results s3://bucket/prefix
    """
    from sweep.doctor import examine

    configs = [word for word in what or [] if word.endswith(".toml")]
    studies = [word for word in what or [] if not word.endswith(".toml")]
    if len(configs) > 1 or len(studies) > 1:
        raise UserError("`sweep doctor` looks at one STUDY and one CONFIG.toml at most.")
    config = Path(configs[0]) if configs else None
    findings = []
    for finding in examine(
        results=results, name=studies[0] if studies else None, config=config, address=address
    ):
        findings.append(finding)
        if not as_json:
            echo(one_line(f"{finding.state:8} {finding.check:16} {finding.seen}"))
            if finding.cure:
                echo(one_line(f"{'':8} {'':16} -> {finding.cure}"))
    if as_json:
        echo(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(EXIT_WRONG)


def bench(
    name: Annotated[
        str, typer.Argument(help="train, alpha, probe, overhead, query, crash or scale.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. Default: cpu.")] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="How often each side is timed.")
    ] = None,
    kills: Annotated[
        int | None, typer.Option(min=1, help="crash: how many kills. Default: 50.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=2, help="overhead, query, scale: how many trials.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="scale: the rule. Default: goldilocks.")] = None,
    runner: Annotated[str | None, typer.Option(help="scale: local or ray. Default: local.")] = None,
) -> None:
    """Time a part of sweep and the plain way to do the same. `crash` breaks studies instead.

    Example: sweep bench alpha --json
    """
    from sweep.bench import load

    options = {"device": device, "repeats": repeats, "kills": kills, "trials": trials}
    options |= {"rule": rule, "runner": runner}
    options = {key: value for key, value in options.items() if value is not None}
    run = load(name)
    if unknown := options.keys() - inspect.signature(run).parameters.keys():
        raise UserError(f"`sweep bench {name}` takes no --{min(unknown)}.")
    report = run(**options)
    echo(report.to_json() if as_json else report.to_text())
