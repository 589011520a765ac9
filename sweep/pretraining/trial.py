"""The whole path of one trial: data, pretraining, criteria, probe.

    pretrain ... -> trained -> measured -> (a verdict) -> probed

`run_trial` yields observations; to stop a trial, ask for no further observation. The trial writes
only to its own folder: a checkpoint while it trains, the encoder once it is trained, and a journal,
to which each finished observation is written before it is yielded. If the trial is entered again,
it yields the journal first and goes on where it stopped, so a finished stage does not run again. If
the files of a stage are damaged, the stage runs again, and the trial's log says so. The seams meet
in this file.
"""

from __future__ import annotations

import json
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
from sweep.storage import files
from sweep.storage.files import Place

JOURNAL = "journal.jsonl"

TAKEN = ("loss", "accuracy", "test_accuracy")
"""Names of measures that no criterion and no part of a loss may have."""

log = logging.getLogger(__name__)
"""Says when a stage begins; a worker writes it to the trial's log file."""


def run_trial(config: TrialConfig, context: Context) -> Generator[Observation, None, None]:
    """Yield the observations of the trial's journal, then those of the stages that are left.

    Args:
        config: the candidate.
        context: folder and device.

    Yields:
        `pretrain` (loss) at each heartbeat, `measured` at each of `criteria.at` and at the
        end, `trained`, and `probed` (accuracy on the validation split) at each of `probe.at`
        and at the end. The parts of the loss come with `trained` and with each look before it. A
        loss or an alpha that is not a number ends the trial early.

    Raises:
        DataError: the images cannot be read, or a supervised method has no labels.
        ConfigError: a member cannot be built, or two measures have one name.
    """
    torch.set_num_threads(context.threads)
    if context.device == "cpu":
        keep_freed_memory()
    journal = _Journal(context.folder)
    watch = _Watch(context.share)
    past = journal.read()
    yield from past
    done = {seen.stage for seen in past if seen.fraction >= 1.0}
    if any(seen.broken for seen in past) or done >= {"trained", "measured", "probed"}:
        return
    data = load(config.data)
    steps = max((seen.step for seen in past), default=0)
    encoder = _trained(config, context) if "trained" in done else None
    if encoder is None:
        names: set[tuple[str, int]] = {(seen.stage, seen.step) for seen in past}
        for seen in _pretrain(config, context, data, names):
            timed = replace(seen, cost=watch.lap())
            if timed.stage != "pretrain" and (timed.stage, timed.step) not in names:
                journal.write(timed)
            yield timed
            if timed.broken:
                return
            steps = timed.step
        encoder = _encoder(config, context)
    if "measured" not in done:
        seen = _measure(config, context, data, encoder, step=steps, fraction=1.0)
        seen = replace(seen, cost=watch.lap())
        journal.write(seen)
        yield seen
        if seen.broken:
            return
    if "probed" not in done:
        seen = _probed(config, context, data, encoder, step=steps, fraction=1.0)
        seen = replace(seen, cost=watch.lap())
        journal.write(seen)
        yield seen


def test_trial(config: TrialConfig, context: Context) -> Observation:
    """Return the winner's accuracy on the test split.

    The probe is fitted again: it is deterministic, so it is the one that was selected.
    """
    torch.set_num_threads(context.threads)
    journal = _Journal(context.folder)
    for seen in journal.read():
        if seen.stage == "tested":
            return seen
    watch = _Watch(context.share)
    data = load(config.data)
    steps = max((seen.step for seen in journal.read()), default=0)
    if (encoder := _trained(config, context)) is None:
        for seen in _pretrain(config, context, data, set()):
            steps = seen.step
        encoder = _encoder(config, context)
    fitted = _probe(config, context, data, encoder)
    measure = _test_accuracy(config, context, data, encoder, fitted)
    seen = Observation(
        stage="tested",
        step=steps,
        measures=(measure,),
        cost=watch.lap(),
    )
    journal.write(seen)
    return seen


test_trial.__test__ = False  # type: ignore[attr-defined]  # not a test: pytest goes by the name


def _encoder(config: TrialConfig, context: Context) -> nn.Module:
    """Return the encoder that the trial wrote; it may be no plug-in but the config's own."""
    path = context.folder / checkpoint.ENCODER
    own = (config.encoder.name,)
    return checkpoint.load_encoder(path, device=context.device, plugins=own).encoder


def _trained(config: TrialConfig, context: Context) -> nn.Module | None:
    """Return the encoder that was trained, or None if it is lost and must be trained again."""
    try:
        return _encoder(config, context)
    except StudyError as error:
        _say(f"{error} It was trained already, and is trained again.")
        return None


def _state(context: Context) -> dict[str, Any] | None:
    """Return the state at which training stopped, or None if training begins with step 0."""
    try:
        return checkpoint.load_state(context.folder, context.device)
    except StudyError as error:
        _say(f"{error} The training begins again with step 0.")
        return None


def _say(sentence: str) -> None:
    """Write a sentence to the trial's log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")


def _pretrain(
    config: TrialConfig, context: Context, data: Data, done: set[tuple[str, int]]
) -> Iterator[Observation]:
    """Train from the last checkpoint, or from the start, to the end; write the encoder.

    At a mark the state is saved before the model is measured, so that a trial that must wait at
    the mark goes on from it. `done` has the stage and step of each look in the journal.
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
            checkpoint.save_state(context.folder, run.state_dict())
            saved_at = time.monotonic()
        yield from _look(config, context, data, run, marks, done)
    if progress is None:
        raise RuntimeError("pretraining took no step")  # no checkpoint is of the last step
    if progress.status == "ok":
        checkpoint.save_encoder(
            context.folder / checkpoint.ENCODER, run.encoder, _about(config, data)
        )
    checkpoint.drop_state(context.folder)
    detail = {"device": _device_name(context.device), "precision": run.precision}
    if progress.status == "ok":
        detail["checkpoint"] = str(context.folder / checkpoint.ENCODER)
    yield Observation(
        stage="trained",
        step=progress.step,
        fraction=progress.step / steps,
        measures=(_loss(progress), *_parts(config, run)),
        detail=detail,
    )


def _marks(config: TrialConfig, steps: int) -> dict[int, float]:
    """Return step -> fraction of the looks at a trial while it trains."""
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
    """Measure and probe a run at a mark, as the config says; this does not change the training."""
    if (fraction := marks.get(run.step)) is None:
        return
    encoder = run.encoder.eval()
    parts = _parts(config, run)
    if fraction in config.criteria.at:
        if ("measured", run.step) not in done:
            seen = _measure(config, context, data, encoder, step=run.step, fraction=fraction)
            yield replace(seen, measures=(*seen.measures, *parts))
        parts = []
    if fraction in config.probe.at and ("probed", run.step) not in done:
        seen = _probed(config, context, data, encoder, step=run.step, fraction=fraction)
        yield replace(seen, measures=(*seen.measures, *parts))
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
        return Measure(name="loss", value=progress.loss)
    why = f"training broke down at step {progress.step}"
    return Measure(name="loss", value=None, status=progress.status, detail={"reason": why})


def _measure(
    config: TrialConfig,
    context: Context,
    data: Data,
    encoder: nn.Module,
    *,
    step: int,
    fraction: float,
) -> Observation:
    """Measure every criterion on the same pretraining images.

    Features are float32 also if pretraining used bfloat16, because alpha reads the spectrum's tail.
    """
    log.info("measure at step %d", step)
    encoded = _encoded(config, context, data, encoder)
    measures = []
    for bound in criteria.bind(config.criteria):
        measure = criteria.measure(bound, encoded)
        if measure.name in TAKEN:
            raise ConfigError(
                f"The criterion {bound.name!r} calls its measure {measure.name!r}, which is the "
                "name of another measure. Give it a name of its own."
            )
        detail = {"images": encoded.count, "split": "pretrain", **measure.detail}
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


def _encoded(config: TrialConfig, context: Context, data: Data, encoder: nn.Module) -> Encoded:
    """Return the features of fixed pretraining images."""
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

    return Encoded(count, batches, augmented)


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
    """Return the accuracy on the test split, which no other function reads."""
    test = _labelled(_labelled_data(config, data).splits.test, encoder, data, context)
    right = (fitted.predict(test.features_ND).cpu() == test.labels_N.cpu()).double()
    accuracy = float(right.mean())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(right)))
    detail = {"images": len(right), "standard_error": error}
    return Measure(name="test_accuracy", value=accuracy, detail=detail)


def _probe(config: TrialConfig, context: Context, data: Data, encoder: nn.Module) -> Fitted:
    splits = _labelled_data(config, data).splits
    train_split = _labelled(splits.train, encoder, data, context)
    validation = _labelled(splits.validation, encoder, data, context)
    return probes.bind(config.probe).make()(train_split, validation)


def _labelled_data(config: TrialConfig, data: Data) -> Data:
    other: DataConfig | None = config.probe.data
    return data if other is None else load(other)


def _labelled(split: Split, encoder: nn.Module, data: Data, context: Context) -> Labelled:
    features_ND = encode_all(
        encoder, split.images, mean=data.mean, std=data.std, device=context.device
    )
    return Labelled(features_ND=features_ND, labels_N=labels_of(split).to(features_ND.device))


def _about(config: TrialConfig, data: Data) -> dict[str, Any]:
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


class _Watch:
    """Seconds since the last lap, and their cost."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._last = time.perf_counter()

    def lap(self) -> Cost:
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return Cost(wall_seconds=seconds, device_seconds=seconds * self._share)


class _Journal:
    """Finished observations of one trial, one JSON line each, on disk before they are yielded.

    The observation of a torn last line was never yielded, so the line is cut off. A damaged line
    is cut off with all lines that follow: the study recognises their observations when they are
    made again.
    """

    def __init__(self, folder: Place) -> None:
        files.make(folder)
        files.tidy(folder)
        self._path = folder / JOURNAL
        self._seen: list[Observation] = []
        data, whole = self._data(), 0
        for line in data.splitlines(keepends=True):
            if (seen := _observation(line)) is None:
                break
            self._seen.append(seen)
            whole += len(line)
        if b"\n" in data[whole:]:
            _say(f"{self._path} is damaged behind {len(self._seen)} lines, which count.")
        if whole < len(data):
            files.cut(self._path, whole)

    def read(self) -> list[Observation]:
        return list(self._seen)

    def write(self, seen: Observation) -> None:
        line = json.dumps(seen.to_json(), separators=(",", ":"), allow_nan=False) + "\n"
        files.append(self._path, line.encode())
        self._seen.append(seen)

    def _data(self) -> bytes:
        try:
            return files.read(self._path)
        except FileNotFoundError:
            return b""


def _observation(line: bytes) -> Observation | None:
    """Return the observation of a line of the journal, None if the line is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        return Observation.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError):
        return None
