"""Run a study, or continue it where its folder is there: one command for each try of a scheduler.

A scheduler (Slurm, Kubernetes, a Ray job) starts the same command again after a preemption. The
command must begin the study once, continue it with the same config, and refuse another one.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from sweep.config.study import StudyConfig
from sweep.core.errors import Resumable, StudyDriven, StudyError, StudyExists
from sweep.core.plugins import importable
from sweep.core.records import Outcome
from sweep.datasets.cache import Reader, load
from sweep.launch import auto
from sweep.launch.launch import Watch, continue_study, plugins_folder, run, untold, unwatched
from sweep.launch.past import RULE, Past, differences, past_of
from sweep.launch.preflight import filled_in
from sweep.log import study_folder
from sweep.storage.lease import DEAD_SECONDS, holder_of
from sweep.storage.location import Address, Location, locate
from sweep.tables.results import Results

WAIT_SECONDS = DEAD_SECONDS + 5
"""How long another driver may take to end: a lease on an object store lapses in a minute."""
POLL_SECONDS = 1.0


def run_or_resume(
    config: StudyConfig | str | Path,
    *,
    results: Address = "results",
    overrides: Sequence[str] = (),
    plugins: str | Path | None = None,
    watch: Watch = unwatched,
    warn: Callable[[str], None] = warnings.warn,
    tell: Callable[[str], None] = untold,
    read: Reader = load,
    wait_seconds: float = WAIT_SECONDS,
) -> Outcome:
    """Run a study, or continue it with the config that it began with, or return its outcome.

    Two configs are the same if they are equal with all defaults filled in, except in `resources`,
    the limits of `budget`, `data.path` and a larger space. A study that ended goes on where the
    budget or the space differs, or `resources.retries` is larger.

    Args:
        config, results, overrides, plugins, watch, warn, tell, read: as `sweep.run` takes them.
        wait_seconds: how long to wait for another driver of the study to end.

    Raises:
        UserError: as `sweep.run`, or the study began with another config.
        Resumable: another driver still holds the study.
        Stopped: the study was asked to stop.
    """
    path = plugins_folder(config, plugins)
    if not isinstance(config, StudyConfig):
        config = StudyConfig.load(config, overrides, warn=warn)
    importable(path)
    folder = locate(results) / config.name
    until = time.monotonic() + wait_seconds
    while True:
        _wait(folder, until, tell)
        try:
            if study_folder.has_begun(folder):
                past = past_of(folder)
                resolved = _same_config(folder, past, config)
                finished = Results(folder).outcome
                if finished is not None and not _has_more_to_do(past.config, resolved):
                    return finished
                return continue_study(
                    folder, past, resolved, path=path, watch=watch, warn=warn, tell=tell, read=read
                )
            return run(
                config,
                results=results,
                plugins=path,
                watch=watch,
                warn=warn,
                tell=tell,
                read=read,
            )
        except StudyExists:
            continue  # another driver began it since
        except StudyDriven as driven:
            if time.monotonic() >= until:
                raise Resumable(f"{driven} The same command goes on when it has ended.") from None
            time.sleep(POLL_SECONDS)


def check_config(folder: Location, config: StudyConfig) -> None:
    """Raise `StudyError` where a study has begun with another config; the folder may not exist."""
    if study_folder.has_begun(folder):
        _same_config(folder, past_of(folder), config)


def _wait(folder: Location, until: float, tell: Callable[[str], None]) -> None:
    """Wait until no driver holds a study, or until a time of the monotonic clock."""
    told = False
    while (holder := holder_of(folder)) is not None and time.monotonic() < until:
        if not told:
            tell(f"waiting     for the driver of {folder} to end: {holder}")
            told = True
        time.sleep(POLL_SECONDS)


def _same_config(folder: Location, past: Past, config: StudyConfig) -> StudyConfig:
    """Return a config with the rule that the study chose and all defaults.

    Raises:
        StudyError: it is not the config that the study began with.
    """
    config = _with_readings(config, past.config)
    if config.rule.name == auto.AUTO and RULE in past.beginning.chosen:
        config = auto.apply(auto.checked_keys(config), past.beginning.chosen[RULE])
    if config.rule.name == auto.AUTO:
        fixed = [f"rule.name ({past.config.rule.name!r} to {auto.AUTO!r})"]
    else:
        config = filled_in(config)
        fixed = differences(filled_in(past.config), config)
    if fixed:
        raise StudyError(
            f"The study {folder} began with another config. These keys differ: {', '.join(fixed)}. "
            "Give it the config that it began with, or name=NAME begins another study."
        )
    return config


def _with_readings(config: StudyConfig, past: StudyConfig) -> StudyConfig:
    """Return a config that names no reading with that of the study."""
    data, probe = config.data, config.probe
    if data.reading is None:
        data = data.model_copy(update={"reading": past.data.reading})
    if probe.data is not None and past.probe.data is not None and probe.data.reading is None:
        other = probe.data.model_copy(update={"reading": past.probe.data.reading})
        probe = probe.model_copy(update={"data": other})
    return config.model_copy(update={"data": data, "probe": probe})


def _has_more_to_do(before: StudyConfig, after: StudyConfig) -> bool:
    """Return whether a study that ended may go on with a config."""
    return (
        before.budget != after.budget
        or before.space != after.space
        or after.resources.retries > before.resources.retries
    )
