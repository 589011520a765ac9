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

import logging
import math
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sweep import criteria, probes
from sweep.config.models import DataConfig, TrialConfig
from sweep.core import codec
from sweep.core.errors import ConfigError, StudyError
from sweep.core.records import Cost, Measure, Observation
from sweep.criteria.encoded import Encoded
from sweep.datasets.cache import Data, load
from sweep.datasets.images import Split
from sweep.pretraining import checkpoint, train
from sweep.pretraining.context import Context
from sweep.pretraining.cpu.allocator import keep_freed_memory
from sweep.pretraining.features import encode, encode_all, encode_views
from sweep.pretraining.images import labels_of, training_images
from sweep.probes import Fitted, Labelled
from sweep.storage.location import Location

JOURNAL = "journal.jsonl"

TAKEN = ("loss", "accuracy", "test_accuracy")
"""Names of measures that a part of the loss may not have, besides those of the criteria."""

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
    journal = _Journal(context.location)
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
        observation = _measure(config, context, data, encoder, step=steps, fraction=1.0)
        observation = replace(observation, cost=stopwatch.lap())
        journal.write(observation)
        yield observation
        if observation.broken:
            return
    if "probed" not in done:
        observation = _probed(config, context, data, encoder, step=steps, fraction=1.0)
        observation = replace(observation, cost=stopwatch.lap())
        journal.write(observation)
        yield observation


def test_trial(config: TrialConfig, context: Context) -> Observation:
    """Return the winner's accuracy on the test split.

    The probe is fitted again. It is deterministic, so this gives the probe that was selected.
    """
    torch.set_num_threads(context.threads)
    journal = _Journal(context.location)
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
    fitted = _probe(config, context, data, encoder)
    measure = _test_accuracy(config, context, data, encoder, fitted)
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
        _to_log(f"{error} The encoder is trained again.")
        return None


def _state(context: Context) -> dict[str, Any] | None:
    """Return the state of the last checkpoint, or None if training begins at step 0."""
    try:
        return checkpoint.load_state(context.location, context.device)
    except StudyError as error:
        _to_log(f"{error} Training begins again at step 0.")
        return None


def _to_log(sentence: str) -> None:
    """Write a sentence to the trial's log, which takes stderr."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")


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
    saved_at = time.monotonic()
    progress = None
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
    ):
        fraction = progress.step / steps
        loss = _loss(progress)
        yield Observation(stage="pretrain", step=progress.step, fraction=fraction, measures=(loss,))
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
    detail = {"device": _device_name(context.device), "precision": run.precision}
    if progress.status == "ok":
        detail["checkpoint"] = str(context.location / checkpoint.ENCODER)
    yield Observation(
        stage="trained",
        step=progress.step,
        fraction=progress.step / steps,
        measures=(_loss(progress), *_parts(config, run)),
        detail=detail,
    )


def _marks(config: TrialConfig, steps: int) -> dict[int, float]:
    """Return step -> fraction, for the looks at a model during training."""
    fractions = {*config.criteria.at, *config.probe.at}
    return {max(1, round(fraction * steps)): fraction for fraction in sorted(fractions)}


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
            observation = _measure(config, context, data, encoder, step=run.step, fraction=fraction)
            yield replace(observation, measures=(*observation.measures, *parts))
        parts = []
    if fraction in config.probe.at and ("probed", run.step) not in done:
        observation = _probed(config, context, data, encoder, step=run.step, fraction=fraction)
        yield replace(observation, measures=(*observation.measures, *parts))
    run.encoder.train()


def _parts(config: TrialConfig, run: train.Run) -> list[Measure]:
    """Return the parts of the loss as measures, averaged over the last steps.

    Raises:
        ConfigError: a part has the name of another measure.
    """
    means, detail = run.mean_parts(), {"steps": len(run.parts)}
    if taken := sorted(means.keys() & {*TAKEN, *config.criteria.names}):
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


def _measure(
    config: TrialConfig,
    context: Context,
    data: Data,
    encoder: nn.Module,
    *,
    step: int,
    fraction: float,
) -> Observation:
    """Take every criterion from one pass over fixed pretraining images.

    Features are float32 whatever pretraining used: alpha reads the spectrum's tail.
    """
    log.info("measure at step %d", step)
    encoded, count = _encoded(config, context, data, encoder)
    measures = []
    for bound in criteria.bind(config.criteria, seed=config.seed):
        measure = bound.make()(encoded)
        detail = {**measure.detail, "images": count, "split": "pretrain"}
        measures.append(replace(measure, detail=detail))
    features = encoded.moments
    spectrum = [float(f"{value:.7g}") for value in features.eigenvalues_D if np.isfinite(value)]
    return Observation(
        stage="measured",
        step=step,
        fraction=fraction,
        measures=tuple(measures),
        detail={"spectrum": spectrum},
    )


def _encoded(
    config: TrialConfig, context: Context, data: Data, encoder: nn.Module
) -> tuple[Encoded, int]:
    """Return the features of fixed pretraining images, and how many images these are."""
    split = data.splits.pretrain
    count = min(config.criteria.images, len(split))
    rows = np.sort(np.random.default_rng(config.data.seed).permutation(len(split))[:count])

    def batches() -> Iterator[Tensor]:
        return encode(
            encoder, split.images[rows], mean=data.mean, std=data.std, device=context.device
        )

    def augmented(images: int, views: int) -> Tensor:
        return encode_views(
            encoder,
            split.images[rows[:images]],
            config.augment,
            views=views,
            seed=config.data.seed,
            mean=data.mean,
            std=data.std,
            device=context.device,
        )

    return Encoded(batches, augmented), count


def _probed(
    config: TrialConfig,
    context: Context,
    data: Data,
    encoder: nn.Module,
    *,
    step: int,
    fraction: float,
) -> Observation:
    """Probe the encoder; at the end also on the test split, if `probe.test` is `all`."""
    log.info("probe at step %d", step)
    fitted = _probe(config, context, data, encoder)
    measures = [fitted.measure]
    if config.probe.test == "all" and fraction >= 1.0:
        measures.append(_test_accuracy(config, context, data, encoder, fitted))
    detail = {"classes": len(_labelled_data(config, data).splits.classes)}
    return Observation(
        stage="probed", step=step, fraction=fraction, measures=tuple(measures), detail=detail
    )


def _test_accuracy(
    config: TrialConfig, context: Context, data: Data, encoder: nn.Module, fitted: Fitted
) -> Measure:
    """Return the accuracy on the test split. No other function reads the test split."""
    test = _labelled(_labelled_data(config, data).splits.test, encoder, data, context)
    correct_N = (fitted.predict(test.features_ND).cpu() == test.labels_N.cpu()).double()
    accuracy = float(correct_N.mean())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(correct_N)))
    detail = {"images": len(correct_N), "standard_error": error}
    return Measure(name="test_accuracy", value=accuracy, detail=detail)


def _probe(config: TrialConfig, context: Context, data: Data, encoder: nn.Module) -> Fitted:
    splits = _labelled_data(config, data).splits
    train_split = _labelled(splits.train, encoder, data, context)
    validation = _labelled(splits.validation, encoder, data, context)
    return probes.bind(config.probe, seed=config.seed).make()(train_split, validation)


def _labelled_data(config: TrialConfig, data: Data) -> Data:
    other: DataConfig | None = config.probe.data
    return data if other is None else load(other)


def _labelled(split: Split, encoder: nn.Module, data: Data, context: Context) -> Labelled:
    features_ND = encode_all(
        encoder, split.images, mean=data.mean, std=data.std, device=context.device
    )
    return Labelled(features_ND=features_ND, labels_N=labels_of(split).to(features_ND.device))


def _about(config: TrialConfig, data: Data) -> dict[str, Any]:
    """Return the JSON beside the encoder: how it was made and how its images are normalised."""
    return {
        "encoder": config.encoder.model_dump(mode="json"),
        "shape": list(data.shape),
        "mean": [float(value) for value in data.mean],
        "std": [float(value) for value in data.std],
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


class _Journal:
    """Finished observations of one trial, one JSON line each, written before they are yielded.

    A torn last line was never yielded, and is cut off. A damaged line is cut off with all lines
    after it. The study's log has these observations, and ignores them when they are made again.
    """

    def __init__(self, folder: Location) -> None:
        folder.make_folder()
        folder.tidy()
        self._path = folder / JOURNAL
        self._observations: list[Observation] = []
        data, whole = self._data(), 0
        for line in data.splitlines(keepends=True):
            if (observation := _observation(line)) is None:
                break
            self._observations.append(observation)
            whole += len(line)
        if b"\n" in data[whole:]:
            _to_log(f"{self._path} is damaged; its first {len(self._observations)} lines are used.")
        if whole < len(data):
            self._path.cut(whole)

    def read(self) -> list[Observation]:
        return list(self._observations)

    def write(self, observation: Observation) -> None:
        self._path.append(codec.encode(observation))
        self._observations.append(observation)

    def _data(self) -> bytes:
        try:
            return self._path.read()
        except FileNotFoundError:
            return b""


def _observation(line: bytes) -> Observation | None:
    """Return the observation in a line of the journal, None if the line is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        return codec.decode_observation(line)
    except ValueError:
        return None
