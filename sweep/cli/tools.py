"""The commands about the machine and this package: doctor, bench."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import RESULTS, Address, ResultsDir
from sweep.cli.output import Json, echo, echo_unchanged
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
    """Say what is wrong with a machine or a study.

    Also looks at storage and clusters. With --address http://HOST:8265 it looks at that cluster,
    from this machine and by a short job there. The exit code is 1 if anything is wrong.

    Example: sweep doctor mine.toml --results s3://bucket/prefix
    """
    from sweep.doctor import examine

    configs = [word for word in what or [] if word.endswith(".toml")]
    studies = [word for word in what or [] if not word.endswith(".toml")]
    if len(configs) > 1 or len(studies) > 1:
        raise UserError("`sweep doctor` looks at one STUDY and one CONFIG.toml at most.")
    config = Path(configs[0]) if configs else None
    findings = []
    if address is not None and "://" in address:
        from sweep.jobs.examine import examine as examine_cluster

        if studies:
            raise UserError("`sweep doctor --address http://...` looks at no STUDY; leave it out.")
        looks = examine_cluster(address, results=str(results), config=config)
    else:
        name = studies[0] if studies else None
        looks = examine(results=results, name=name, config=config, address=address)
    for finding in looks:
        findings.append(finding)
        if not as_json:
            echo(one_line(f"{finding.state:8} {finding.check:16} {finding.seen}"))
            if finding.cure:
                echo(one_line(f"{'':8} {'':16} -> {finding.cure}"))
    if as_json:
        echo(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(EXIT_WRONG)


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file. Default: standard output.")
    ] = None,
) -> None:
    """Print the JSON schema of a config.

    With it an editor checks and completes a TOML file. Keys of methods, encoders, rules and other
    members are not listed: they belong to the members.

    Example: sweep schema -o sweep.schema.json
    """
    from sweep.config.study import StudyConfig

    text = json.dumps(StudyConfig.model_json_schema(), indent=1)
    if output is None:
        echo_unchanged(text)
        return
    output.write_text(text + "\n", encoding="utf-8")
    echo(f"Wrote {output}. The first line of a config may name it: #:schema {output}")


def bench(
    name: Annotated[
        str, typer.Argument(help="train, alpha, probe, overhead, query, crash, scale, gpu or data.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda. Default: cpu; gpu: cuda.")
    ] = None,
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
    parallel: Annotated[
        int | None, typer.Option(min=1, help="scale: trials at once on Ray. Default: all that fit.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="scale: that each trial sleeps. Default: 0.")
    ] = None,
    cpu: Annotated[
        float | None, typer.Option(help="scale: cores of a trial, or a part of one. Default: 1.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", metavar="FOLDER", help="gpu: of gpu.json. Default: gpu.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="gpu: images of its study. Default: embedded digits.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="gpu: the limit. Default: 9.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=100, help="data: how many images. Default: 100,000.")
    ] = None,
    small: Annotated[
        bool | None, typer.Option("--small", help="gpu: small sizes, to try the bench on a CPU.")
    ] = None,
) -> None:
    """Time a part of sweep, and the plain way.

    `crash` breaks studies instead, and `gpu` measures all that needs a GPU.

    Example: sweep bench alpha --json
    """
    from sweep.bench import load

    options: dict[str, object] = {"device": device, "repeats": repeats, "kills": kills}
    options |= {"trials": trials, "rule": rule, "runner": runner}
    options |= {"parallel": parallel, "cpu": cpu, "seconds": seconds}
    options |= {"output": output, "data": data, "minutes": minutes, "small": small}
    options |= {"images": images}
    options = {key: value for key, value in options.items() if value is not None}
    run = load(name)
    if unknown := options.keys() - inspect.signature(run).parameters.keys():
        raise UserError(f"`sweep bench {name}` takes no --{min(unknown)}.")
    if "tell" in inspect.signature(run).parameters:
        options["tell"] = lambda line: echo(line, err=as_json)
    report = run(**options)
    echo(report.to_json() if as_json else report.to_text())
