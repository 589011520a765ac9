"""The whole path of one trial: data, pretraining, criteria, probe.

    pretrain ... -> trained -> measured -> (a verdict) -> probed

`run_trial` yields observations; to stop a trial, the caller asks for no more. The trial writes
only to its own folder: a checkpoint while it trains, the encoder after training, and a journal.
Each finished observation is written to the journal before it is yielded. A trial that is started
again yields its journal first and continues after it, so a finished stage never runs again. The
exception is a stage whose files are damaged: it runs again, and the trial's log says so.
The seams meet in this file.
"""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sweep.config.study import TrialConfig
from sweep.core.errors import ConfigError, StudyError
from sweep.core.records import Cost, Measure, Observation
from sweep.datasets.cache import Data, load
from sweep.datasets.steps import steps_of
from sweep.pretraining import checkpoint, looks, train
from sweep.pretraining.context import Context
from sweep.pretraining.cpu.allocator import keep_freed_memory
from sweep.pretraining.images import training_images
from sweep.pretraining.journal import Journal, to_log
from sweep.pretraining.parallel.batch_norm import over_all_ranks
from sweep.pretraining.parallel.checks import check_parallel
from sweep.pretraining.parallel.processes import together
from sweep.pretraining.parallel.ranks import Ranks

log = logging.getLogger(__name__)
"""Tells when a stage begins; a worker sends it to the trial's log file."""


def run_trial(config: TrialConfig, context: Context) -> Generator[Observation, None, None]:
    """Yield the trial's observations, stage by stage; those of its journal come first.

    Args:
        config: the candidate.
        context: folder and device.

    Yields:
        `pretrain` (loss) at each heartbeat, `measured` at each of `criteria.at` and at the
        end, `trained`, and `probed` (accuracy on the validation split) at each of `probe.at`
        and at the end. A measure that is fatal and has no value ends it early.

    Raises:
        DataError: the images cannot be read.
    """
    torch.set_num_threads(context.threads)
    if context.device == "cpu":
        keep_freed_memory()
    journal = Journal(context.location)
    stopwatch = _Stopwatch(context.share)
    past = journal.read()
    yield from past
    done = {observation.stage for observation in past if observation.fraction >= 1.0}
    if any(observation.broken for observation in past) or done >= {"trained", "measured", "probed"}:
        return
    data = load(config.data)
    steps = max((observation.step for observation in past), default=0)
    encoder = _trained(config, context) if "trained" in done else None
    if encoder is None:
        names: set[tuple[str, int]] = {
            (observation.stage, observation.step) for observation in past
        }
        for observation in _pretrain(config, context, data, names):
            timed = replace(observation, cost=stopwatch.lap())
            if timed.stage != "pretrain" and (timed.stage, timed.step) not in names:
                journal.write(timed)
            yield timed
            if timed.broken:
                return
            steps = timed.step
        encoder = _encoder(config, context)
    if "measured" not in done:
        observation = looks.measure(config, context, data, encoder, step=steps, fraction=1.0)
        observation = replace(observation, cost=stopwatch.lap())
        journal.write(observation)
        yield observation
        if observation.broken:
            return
    if "probed" not in done:
        observation = looks.probe(config, context, data, encoder, step=steps, fraction=1.0)
        observation = replace(observation, cost=stopwatch.lap())
        journal.write(observation)
        yield observation


def test_trial(config: TrialConfig, context: Context) -> Observation:
    """Return the winner's accuracy on the test split.

    The probe is fitted again. It is deterministic, so this gives the probe that was selected.
    """
    torch.set_num_threads(context.threads)
    journal = Journal(context.location)
    for observation in journal.read():
        if observation.stage == "tested":
            return observation
    stopwatch = _Stopwatch(context.share)
    data = load(config.data)
    steps = max((observation.step for observation in journal.read()), default=0)
    if (encoder := _trained(config, context)) is None:
        for observation in _pretrain(config, context, data, set()):
            steps = observation.step
        encoder = _encoder(config, context)
    fitted = looks.fit_probe(config, context, data, encoder)
    measure = looks.accuracy_on_test(config, context, data, encoder, fitted)
    observation = Observation(
        stage="tested",
        step=steps,
        measures=(measure,),
        cost=stopwatch.lap(),
    )
    journal.write(observation)
    return observation


test_trial.__test__ = False  # type: ignore[attr-defined]  # not a test: pytest goes by the name


def _encoder(config: TrialConfig, context: Context) -> nn.Module:
    """Return the encoder that the trial wrote; the only plug-in allowed is the config's own."""
    path = context.location / checkpoint.ENCODER
    allowed = (config.encoder.name,)
    return checkpoint.load_encoder(path, device=context.device, plugins=allowed).encoder


def _trained(config: TrialConfig, context: Context) -> nn.Module | None:
    """Return the trained encoder, or None if its file is lost or damaged."""
    try:
        return _encoder(config, context)
    except StudyError as error:
        to_log(f"{error} The encoder is trained again.")
        return None


def _state(context: Context) -> dict[str, Any] | None:
    """Return the state of the last checkpoint, or None if training begins at step 0."""
    try:
        return checkpoint.load_state(context.location, context.device)
    except StudyError as error:
        to_log(f"{error} Training begins again at step 0.")
        return None


def _pretrain(
    config: TrialConfig, context: Context, data: Data, done: set[tuple[str, int]]
) -> Iterator[Observation]:
    """Train from the last checkpoint, or from the start, to the end; write the encoder.

    At a mark the state is saved before the model is measured or probed, so that a trial that is
    held there continues from there. `done` names the observations that the journal holds.
    """
    run = train.begin(config, data.shape, context.device, images=len(data.splits.pretrain))
    images, labels = training_images(
        run.method, data.splits, name=config.method.name, device=context.device
    )
    steps = train.total_steps(config, len(images))
    marks = _marks(config, steps)
    if (state := _state(context)) is not None:
        run.load_state_dict(state)
        yield from _look(config, context, data, run, marks, done)
    log.info("pretrain from step %d", run.step)
    progress = None
    with _ranks(config, context, run) as ranks:
        saved_at = time.monotonic()
        for progress in train.pretrain(
            run,
            images,
            config,
            device=context.device,
            mean=data.mean,
            std=data.std,
            heartbeat_seconds=context.heartbeat_seconds,
            marks=tuple(marks),
            labels=labels,
            ranks=ranks,
        ):
            fraction = progress.step / steps
            loss = _loss(progress)
            yield Observation(
                stage="pretrain", step=progress.step, fraction=fraction, measures=(loss,)
            )
            if progress.status != "ok":
                break
            next_chance = time.monotonic() - saved_at + context.heartbeat_seconds
            late = next_chance >= context.checkpoint_seconds
            if (late or progress.step in marks) and progress.step < steps:
                checkpoint.save_state(context.location, run.state_dict())
                saved_at = time.monotonic()
            yield from _look(config, context, data, run, marks, done)
    if progress is None:
        raise RuntimeError("pretraining took no step")  # no checkpoint is taken at the last step
    if progress.status == "ok":
        checkpoint.save_encoder(
            context.location / checkpoint.ENCODER, run.encoder, _about(config, data)
        )
    checkpoint.drop_state(context.location)
    detail = {
        "device": _device_name(context.device),
        "node": platform.node(),
        "precision": run.precision,
    }
    if progress.status == "ok":
        detail["checkpoint"] = str(context.location / checkpoint.ENCODER)
    yield Observation(
        stage="trained",
        step=progress.step,
        fraction=progress.step / steps,
        measures=(_loss(progress), *_parts(config, run)),
        detail=detail,
    )


@contextlib.contextmanager
def _ranks(config: TrialConfig, context: Context, run: train.Run) -> Iterator[Ranks]:
    """Yield this process's place among the processes that train the run; they end afterwards."""
    check_parallel(config, run.method, context.processes)
    state = run.state_dict() if context.processes > 1 else {}
    with together(
        config,
        state,
        processes=context.processes,
        device=context.device,
        threads=context.threads,
    ) as ranks:
        if ranks.processes > 1 and config.train.sync_batch_norm:
            over_all_ranks(run.method)
        yield ranks


def _marks(config: TrialConfig, steps: int) -> dict[int, float]:
    """Return step -> fraction, for the looks at a model during training."""
    fractions = {*config.criteria.at, *config.probe.at}
    return {train.look_step(fraction, steps): fraction for fraction in sorted(fractions)}


def _look(
    config: TrialConfig,
    context: Context,
    data: Data,
    run: train.Run,
    marks: Mapping[int, float],
    done: set[tuple[str, int]],
) -> Iterator[Observation]:
    """Measure and probe a run at a mark, as the config says, without an effect on training."""
    if (fraction := marks.get(run.step)) is None:
        return
    encoder = run.encoder.eval()
    parts = _parts(config, run)
    if fraction in config.criteria.at:
        if ("measured", run.step) not in done:
            observation = looks.measure(
                config, context, data, encoder, step=run.step, fraction=fraction
            )
            yield replace(observation, measures=(*observation.measures, *parts))
        parts = []
    if fraction in config.probe.at and ("probed", run.step) not in done:
        observation = looks.probe(config, context, data, encoder, step=run.step, fraction=fraction)
        yield replace(observation, measures=(*observation.measures, *parts))
    run.encoder.train()


def _parts(config: TrialConfig, run: train.Run) -> list[Measure]:
    """Return the parts of the loss as measures, averaged over the last steps.

    Raises:
        ConfigError: a part has the name of another measure.
    """
    means, detail = run.mean_parts(), {"steps": len(run.parts)}
    if taken := sorted(means.keys() & {*looks.TAKEN, *config.criteria.names}):
        raise ConfigError(
            f"The method {config.method.name!r} calls a part of its loss {taken[0]!r}, which is "
            f"the name of another measure. Call it method_{taken[0]}, for example."
        )
    return [
        Measure(name=name, value=value, detail=detail)
        if math.isfinite(value)
        else Measure(name=name, value=None, status="nonfinite", detail=detail)
        for name, value in means.items()
    ]


def _loss(progress: train.Progress) -> Measure:
    if progress.status == "ok":
        return Measure(name="loss", value=progress.loss, fatal=True)
    detail = {"reason": f"training broke down at step {progress.step}"}
    return Measure(name="loss", value=None, status=progress.status, fatal=True, detail=detail)


def _about(config: TrialConfig, data: Data) -> dict[str, Any]:
    """Return the JSON beside the encoder: how it was made and how its images are normalised."""
    return {
        "encoder": config.encoder.model_dump(mode="json"),
        "seed": config.seed,
        "shape": list(data.shape),
        "mean": [float(value) for value in data.mean],
        "std": [float(value) for value in data.std],
        "classes": list(data.splits.classes),
        "preprocess": steps_of(config.data, data),
        "config": config.model_dump(mode="json"),
        "versions": {"torch": torch.__version__},
    }


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


class _Stopwatch:
    """Measures the seconds between laps, and what they cost."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._last = time.perf_counter()

    def lap(self) -> Cost:
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return Cost(wall_seconds=seconds, device_seconds=seconds * self._share)
