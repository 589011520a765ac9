"""Run a study from config to winner, or resume a study.

    prepare -> folder and log -> candidates -> runner -> outcome -> test of the winner

The study's folder is made after all checks have passed. Work that the log holds is never done
again, so `resume` takes the same path with a log that is not empty.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from sweep.config.models import BudgetConfig
from sweep.config.study import StudyConfig, TrialConfig, digest
from sweep.core.errors import ConfigError, StudyError, SweepError
from sweep.core.events import BudgetChanged, SessionBegan, StudyBegan, StudyFinished
from sweep.core.outcome import outcome
from sweep.core.plugins import importable
from sweep.core.records import Outcome
from sweep.datasets.cache import Reader, load
from sweep.launch import told
from sweep.launch.past import RULE, Past, check_changes, names_auto, past_of, readings
from sweep.launch.preflight import Prepared, doubts, prepare
from sweep.launch.retention import Keeper
from sweep.log import prior_copy, study_folder
from sweep.log.log import Log
from sweep.pretraining.context import Context
from sweep.pretraining.trial import test_trial
from sweep.runners import local
from sweep.runners.devices import Devices, check_wait, devices
from sweep.runners.interrupt import Interrupted, StopRequest, ending_at_once
from sweep.runners.trial_log import LOG, TrialLog
from sweep.runners.worker import TRIALS, Worker
from sweep.storage.location import Address, Location, locate
from sweep.storage.symlinks import refuse_links
from sweep.study import Listener, Study
from sweep.tables.results import Results
from sweep.tables.snapshots import Snapshots

Watch = Callable[[Study, StudyConfig, Location], contextlib.AbstractContextManager[Listener]]
"""Shows a running study: a context that is entered after the candidates are added, and gives a
listener."""


class Stopped(SweepError):
    """The study was asked to stop, and can be resumed.

    Args:
        exit_code: 75, or 130 after Ctrl-C.
        folder: of the study.
    """

    def __init__(self, exit_code: int, folder: Location) -> None:
        super().__init__(f"The study stopped before its end. `sweep resume {folder}` goes on.")
        self.exit_code = exit_code


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """A runner that is ready to run trials.

    Args:
        devices: of each trial.
        drive: runs trials until none is left.
        call: runs one function with a trial's devices.
    """

    devices: Devices
    drive: Callable[[Study, Callable[[str], dict[str, Any]], StopRequest], None]
    call: Callable[..., Any]


@contextlib.contextmanager
def unwatched(study: Study, config: StudyConfig, folder: Location) -> Iterator[Listener]:
    """Show nothing of a running study."""
    yield lambda event: None


def untold(line: str) -> None:
    """Print nothing."""


def run(
    config: StudyConfig | str | Path,
    *,
    results: Address = "results",
    overrides: Sequence[str] = (),
    plugins: str | Path | None = None,
    watch: Watch = unwatched,
    warn: Callable[[str], None] = warnings.warn,
    tell: Callable[[str], None] = untold,
    read: Reader = load,
) -> Outcome:
    """Run a study to its end.

    Args:
        config: a `StudyConfig`, or the path of a TOML file.
        results: the folder in which the study's own folder is made; or `s3://bucket/prefix`.
        overrides: `key=value`, for a path.
        plugins: the folder of the modules that the config names; by default that of the file.
        watch: shows progress.
        warn: takes warnings about settings that can run but may not be what the user wants.
        tell: takes the lines that say how the images were read, and which rule was chosen if the
            rule is `auto`.
        read: the images, for example with a progress bar.

    Returns:
        The winner, the zone, the probes paid and saved. `sweep.load(results/NAME)` has the rest.

    Raises:
        UserError: the study cannot run as configured; nothing was written.
        Stopped: the study was asked to stop; `resume` continues it.
    """
    path = plugins_folder(config, plugins)
    if not isinstance(config, StudyConfig):
        config = StudyConfig.load(config, overrides, warn=warn)
    importable(path)
    results = locate(results)
    study_folder.check_vacant(results, config.name)
    prepared = prepare(config, read=read)
    if prepared.choice is not None:
        tell(prepared.choice.line)
    found = told.reports(prepared.config, prepared.data)
    for line in told.lines(found):
        tell(line)
    for sentence in doubts(prepared):
        warn(sentence)
    with _backend(config, path, warn) as backend:
        folder = study_folder.create(results, config.name)
        _check_conditions(folder, warn)
        with study_folder.open_log(folder) as log, Snapshots(log) as snapshots:
            study_folder.check_no_event(folder)  # another driver may have run it since the check
            study = _study(prepared, log, backend, snapshots, config.budget)
            chosen = prior_copy.write(folder, prepared.prior.sources)
            chosen |= told.kept(found)
            if prepared.choice is not None:
                chosen[RULE] = prepared.choice.to_json()
            study.record(_beginning(prepared, path, chosen))
            _session(study, config, backend)
            return _drive(study, prepared, folder, backend, watch)


def plugins_folder(config: StudyConfig | str | Path, plugins: str | Path | None) -> Path | None:
    """Return the folder of the modules that a config names; None if there is no file."""
    if plugins is not None:
        return existing_folder(plugins)
    return None if isinstance(config, StudyConfig) else Path(config).resolve().parent


def existing_folder(plugins: str | Path) -> Path:
    """Return the absolute path of a folder of plug-ins.

    Raises:
        ConfigError: it is no folder.
    """
    path = Path(plugins).resolve()
    if not path.is_dir():
        raise ConfigError(f"--plugins {plugins} is not a folder.")
    return path


def resume(
    folder: Address,
    *,
    overrides: Sequence[str] = (),
    plugins: str | Path | None = None,
    watch: Watch = unwatched,
    warn: Callable[[str], None] = warnings.warn,
    tell: Callable[[str], None] = untold,
    read: Reader = load,
) -> Outcome:
    """Continue a study where its log ends; no finished stage is run again.

    If the study is finished and there are no overrides, its outcome is returned at once.

    Args:
        folder: of the study.
        overrides: `key=value`. Budget and resources may change, and the space may grow.
        plugins: the folder of the modules that the config names; by default the one where the
            study began if it exists here, else the current folder.
        watch: shows progress.
        warn: takes warnings about settings that can run but may not be what the user wants.
        tell: takes the lines that say how the images were read.
        read: the images, for example with a progress bar.

    Raises:
        StudyError: there is no such study, another driver holds it, or the overrides change more
            than budget, resources and a larger space.
        Stopped: as in `run`.
    """
    folder = locate(folder)
    if not overrides and (finished := Results(folder).outcome) is not None:
        return finished
    past = past_of(folder)
    path = _plugins_of(past.beginning, plugins)
    importable(path)
    change = past.config.model_dump(mode="json")
    if RULE in past.beginning.chosen:
        overrides = [text for text in overrides if not names_auto(text)]
    config = StudyConfig.parse(change, overrides, source="the change", warn=warn)
    check_changes(past.config, config)
    return continue_study(
        folder, past, config, path=path, watch=watch, warn=warn, tell=tell, read=read
    )


def _plugins_of(beginning: StudyBegan, plugins: str | Path | None) -> Path | None:
    """Return the folder of a study's plug-ins on this machine; None if it has none."""
    if plugins is not None:
        return existing_folder(plugins)
    if beginning.path is None:
        return None
    path = Path(beginning.path)
    return path if path.is_dir() else Path.cwd()


def continue_study(
    folder: Location,
    past: Past,
    config: StudyConfig,
    *,
    path: Path | None,
    watch: Watch,
    warn: Callable[[str], None],
    tell: Callable[[str], None],
    read: Reader = load,
) -> Outcome:
    """Continue a study with a config that may differ in what a resume can change.

    Args:
        folder: of the study.
        past: what its log says.
        config: with all keys of its rule; `auto` is resolved.
        path: the folder of the plug-ins, which are importable already.
        watch, warn, tell, read: as in `run`.

    Raises:
        StudyError: the images are others, the space has lost a candidate, or another driver holds
            the study.
        Stopped: as in `run`.
    """
    beginning = past.beginning
    prepared = prepare(config, sources=prior_copy.read(folder, beginning), read=read)
    if prepared.data_digest != beginning.data_digest:
        raise StudyError(
            f"The images at {config.data.path or config.data.name} are not those that the study "
            f"in {folder} began with. Put them back, or start another study with `sweep run`."
        )
    if missing := past.known - {candidate.trial_id for candidate in prepared.candidates}:
        raise StudyError(
            f"The changed space leaves out {len(missing)} candidates that the study has. A resume "
            "may only enlarge the space. For another space, `sweep run` with another name."
        )
    for sentence in readings(config):
        warn(sentence)
    for line in told.lines(told.reports(prepared.config, prepared.data)):
        tell(line)
    _check_conditions(folder, warn)
    with (
        _backend(config, path, warn) as backend,
        study_folder.open_log(folder) as log,
        Snapshots(log) as snapshots,
    ):
        # With the budget of the log: a new one counts once the log holds it, or else the rule's
        # first answers could not be verified.
        study = _study(prepared, log, backend, snapshots, past.config.budget)
        _session(study, config, backend)
        if config != past.config:
            study.record(BudgetChanged(config=config.model_dump(mode="json")))
        return _drive(study, prepared, folder, backend, watch)


def _drive(
    study: Study, prepared: Prepared, folder: Location, backend: Backend, watch: Watch
) -> Outcome:
    config = prepared.config
    configs = {candidate.trial_id: candidate.config for candidate in prepared.candidates}
    for candidate in prepared.candidates:
        if candidate.trial_id not in study.history:
            config_json = candidate.config.model_dump(mode="json")
            study.add(candidate.trial_id, candidate.point, config_json)
    context = Context(
        folder=folder.native,
        storage=folder.storage,
        device="cuda" if backend.devices.gpu else "cpu",
        share=backend.devices.share,
        threads=backend.devices.threads,
        processes=backend.devices.processes,
        heartbeat_seconds=config.resources.heartbeat_seconds,
        checkpoint_seconds=config.resources.checkpoint_seconds,
    )

    def job(trial_id: str) -> dict[str, Any]:
        own = study_folder.trial_folder(folder.absolute(), trial_id)
        config_json = configs[trial_id].model_dump(mode="json")
        return {"config": config_json, "context": replace(context, folder=own.native)}

    stop = StopRequest(folder)
    with _resumable(folder), stop.installed(), watch(study, config, folder) as listener:
        study.listen(listener)
        keeper = Keeper(study, config, folder)
        study.listen(keeper)
        backend.drive(study, job, stop)
        if stop:
            raise Stopped(stop.exit_code or 75, folder)
        result = outcome(study.history, study.why_it_ends())
        test_accuracy = None
        if result.winner is not None and config.trial in TRIALS:
            with ending_at_once():  # an interrupted test is repeated by `resume`
                observation = backend.call(_test, job(result.winner))
            study.observe(result.winner, observation)
            measure = observation.measure("test_accuracy")
            test_accuracy = measure.value if measure else None
        keeper.finish(result.winner)
        if not study.finished:
            study.record(StudyFinished(outcome=result, test_accuracy=test_accuracy))
    return result


@contextlib.contextmanager
def _resumable(folder: Location) -> Iterator[None]:
    """Turn an interruption into `Stopped`, whose sentence says how to resume."""
    try:
        yield
    except Interrupted as interrupted:
        raise Stopped(interrupted.exit_code, folder) from None


def _test(job: dict[str, Any]) -> Any:
    context: Context = job["context"]
    refuse_links(context.location, itself=True)
    log = TrialLog(context.location / LOG)
    with contextlib.closing(log), log.open() as file, contextlib.redirect_stderr(file):
        return test_trial(TrialConfig(**job["config"]), context)


def _check_conditions(folder: Location, warn: Callable[[str], None]) -> None:
    if not folder.keeps_drivers_apart():
        warn(
            f"The object store of {folder} ignores the conditions of a PUT (If-None-Match, "
            "If-Match), so nothing keeps two drivers of one study apart: start only one driver."
        )


@contextlib.contextmanager
def _backend(
    config: StudyConfig, path: Path | None, warn: Callable[[str], None]
) -> Iterator[Backend]:
    if config.resources.runner == "local":
        yield _local_backend(config, path)
        return
    from sweep.runners.ray import cluster, runner  # imported here, because `local` needs no Ray

    check_wait(config.resources)  # before Ray starts, which takes some seconds
    with cluster.cluster(config.resources.address) as ray_cluster:
        share = devices(
            config, gpus=ray_cluster.gpus, cpus=ray_cluster.cpus, nodes=ray_cluster.each
        )

        def drive(study: Study, job: Callable[[str], Any], stop: StopRequest) -> None:
            def as_json(trial_id: str) -> dict[str, Any]:
                fields = job(trial_id)
                return {**fields, "context": fields["context"].to_json()}

            jobs = runner.Jobs(of=as_json, path=str(path) if path else None)
            runner.drive(
                study,
                jobs,
                share,
                stop,
                hang_seconds=config.resources.hang_seconds,
                wait=config.resources.wait,
                warn=warn,
            )

        def call(function: Callable[..., Any], *args: Any) -> Any:
            if not share.gpu and config.resources.address is None:
                return function(*args)  # saves 15 s: this process has imported everything
            return runner.call(function, *args, devices=share)

        yield Backend(devices=share, drive=drive, call=call)


def _local_backend(config: StudyConfig, path: Path | None) -> Backend:
    def drive(study: Study, job: Callable[[str], Any], stop: StopRequest) -> None:
        def open_worker(trial_id: str) -> Worker:
            fields = job(trial_id)
            return Worker(TrialConfig(**fields["config"]), fields["context"])

        local.drive(study, open_worker, stop)

    return Backend(
        devices=devices(config), drive=drive, call=lambda function, *args: function(*args)
    )


def _study(
    prepared: Prepared, log: Log, backend: Backend, snapshots: Snapshots, budget: BudgetConfig
) -> Study:
    config = prepared.config
    return Study(
        rule=prepared.rule,
        proposer=prepared.proposer,
        log=log,
        budget=budget,
        workers=backend.devices.parallel,
        retries=config.resources.retries,
        price_per_device_hour=config.resources.price_per_device_hour,
        listeners=[snapshots.update],
    )


def _session(study: Study, config: StudyConfig, backend: Backend) -> None:
    study.record(
        SessionBegan(
            host=socket.gethostname(),
            pid=os.getpid(),
            runner=config.resources.runner,
            workers=backend.devices.parallel,
            device="cuda" if backend.devices.gpu else "cpu",
        )
    )


def _beginning(prepared: Prepared, path: Path | None, chosen: dict[str, Any]) -> StudyBegan:
    config = prepared.config.model_dump(mode="json")
    return StudyBegan(
        name=prepared.config.name,
        config=config,
        config_digest=digest(config),
        data_digest=prepared.data_digest,
        path=str(path) if path else None,
        created=time.time(),
        commit=_commit(),
        versions={
            "python": platform.python_version(),
            **{name: _version(name) for name in ("sweep", "torch", "torchvision", "numpy", "ray")},
        },
        chosen=chosen,
    )


def _commit() -> str | None:
    """Return the commit of the package's source, or None if it does not run from a checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
