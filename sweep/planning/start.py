"""From a path and minutes to a config file on disk: read, time, plan, check, write.

Nothing is written before all checks have passed.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sweep.config.study import StudyConfig
from sweep.config.text import toml
from sweep.core.errors import ConfigError, UserError
from sweep.datasets.cache import load
from sweep.datasets.inspect import inspect
from sweep.launch.preflight import prepare
from sweep.log import study_folder
from sweep.planning.config_file import text_of
from sweep.planning.facts import Facts, Images
from sweep.planning.ladder import rungs
from sweep.planning.measure import time_probe, time_rungs
from sweep.planning.plan import (
    Plan,
    batch_of,
    check,
    chosen_rung,
    machine_of,
    overhead,
    plan,
    splits_of,
)
from sweep.planning.settings import D
from sweep.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A plan that is written.

    Args:
        file: the config.
        config: what the file holds.
        plan: with its reasons.
        facts: on which the plan rests.
    """

    file: Path
    config: StudyConfig
    plan: Plan
    facts: Facts


def write_plan(
    path: Path,
    *,
    minutes: float,
    name: str | None,
    overrides: Sequence[str],
    results: Location,
    plain: bool,
    tell: Callable[[str], None],
    began: float,
) -> Started:
    """Plan a study of the images at a path, and write its config.

    Args:
        path: a folder or a table of images.
        minutes: that the whole command may take.
        name: of the study and its file; by default made from the path.
        overrides: `data.key=value`.
        results: the folder of studies.
        plain: plan one model with all defaults.
        tell: takes a line about each step.
        began: when the command began, by `time.monotonic()`.

    Raises:
        UserError: a file or a study of that name exists, there are too few images or minutes, or
            the images cannot be read; nothing was written.
    """
    name = name if name is not None else name_of(path)
    given = _given(overrides)
    config = StudyConfig.parse(
        {"name": name, "data": {"path": str(path)}}, overrides, source="the command"
    )
    file = Path(f"{name}.toml")
    _check_vacant(file, results, name)
    seconds = _seconds(minutes)
    quick = Images.of_report(inspect(config.data, quick=True))
    check(quick)
    machine = machine_of(cores=os.cpu_count() or 1, gpus=torch.cuda.device_count(), seconds=seconds)
    batch = batch_of(quick)
    left = seconds - (time.monotonic() - began) - overhead(seconds)
    timed = time_rungs(
        rungs(quick.smallest, quick.largest, side=config.data.size),
        method={"name": "barlow_twins", **({} if plain else {"d": D})},
        batch=batch,
        channels=quick.channels or 3,
        native=quick.largest,
        machine=machine,
        seconds=left,
    )
    for one in timed:
        tell(f"timed       {one.rung.words}: a step of {batch} images {one.step_seconds:.3g} s")
    best = chosen_rung(timed, left)
    chosen = {"size": best.rung.side, **splits_of(quick)}
    chosen = {k: v for k, v in chosen.items() if v is not None and k not in given}
    data = load(config.data.model_copy(update=chosen))
    images = Images.of_report(data.report)
    check(images)
    look = time_probe(best.rung, data, batch=batch, machine=machine) if images.classes else 0.0
    if look:
        tell(f"timed       a probe of {images.labelled:,} labelled images: {look:.3g} s")
    facts = Facts(
        images=images,
        machine=machine,
        seconds=seconds,
        elapsed=time.monotonic() - began,
        timed=best,
        look_seconds=look,
        batch=batch,
        chosen=chosen,
    )
    planned = plan(facts, plain=plain)
    text = text_of(planned, facts, name=name, path=path, overrides=given)
    study = StudyConfig.parse(toml(text), source=str(file))
    prepare(study)
    _write(file, text)
    return Started(file=file, config=study, plan=planned, facts=facts)


def _check_vacant(file: Path, results: Location, name: str) -> None:
    """Raise `UserError` if the config or the study exists."""
    if file.exists():
        raise UserError(
            f"{file} exists already. Type --name OTHER for another study, or `sweep run {file}` "
            "to run what it says."
        )
    study_folder.check_vacant(results, name)


def _seconds(minutes: float) -> float:
    """Return minutes as seconds; raise `UserError` if they are no time."""
    if not (math.isfinite(minutes) and minutes > 0):
        raise UserError(f"--minutes is {minutes:g}, and must be above 0. Type --minutes 10.")
    return 60 * minutes


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def lines_of(started: Started) -> list[str]:
    """Return a plan in a few lines for a person."""
    facts, config = started.facts, started.config
    return [
        f"plan        {started.plan.why}",
        f"training    {facts.timed.rung.words}; {config.train.epochs} epochs in batches of "
        f"{config.train.batch}, {started.plan.steps:,} steps",
        f"time        {facts.elapsed:.0f} s so far, {started.plan.seconds:.0f} s planned for the "
        f"study, of {facts.seconds:.0f} s",
        f"wrote       {started.file}, which says why for each choice",
    ]


def name_of(path: Path) -> str:
    """Return a name for a study of the images at a path: letters, digits and hyphens."""
    stem = (
        path.absolute().name.removesuffix(path.suffix) if path.is_file() else path.absolute().name
    )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60] or "images"


def _given(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the keys of `[data]` that the user gave.

    Raises:
        ConfigError: a key of another table, or the path again.
    """
    for text in overrides:
        if not text.startswith("data.") or text.startswith("data.path="):
            raise ConfigError(
                f"`sweep start` takes keys of [data] besides its PATH, and {text!r} is none. "
                "Change other keys in the file that it writes, and type: sweep run NAME.toml"
            )
    data = StudyConfig.parse({}, overrides, source="the command").data
    return data.model_dump(mode="json", exclude_unset=True)
