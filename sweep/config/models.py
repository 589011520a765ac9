"""What a study is told: TOML and `key=value` read into frozen pydantic models.

A default is somebody's published value, and cited. Units sit in names. Nothing here
opens data or imports torch; what needs them (an encoder's width, a data path) is
checked in `sweep.launch.preflight`. How axes become candidates: `sweep.config.space`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from sweep.config.text import override, sentences, toml, unreasonable
from sweep.core.errors import ConfigError
from sweep.core.limits import LARGEST

Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]

SHORT = {
    "d": "projector.d",
    "lambd": "objective.lambd",
    "lr": "train.lr",
    "weight_decay": "train.weight_decay",
    "width": "encoder.width",
    "epochs": "train.epochs",
}
"""Short names of fields, allowed as axes of a space; they are also the table's columns."""


class Model(BaseModel):
    """Frozen, and a key that is not a field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Model):
    """Which images, and how they are split.

    Args:
        name: a data set in `sweep.datasets.DATASETS`, or `"package.module:function"`; by
            default what lies at `path`, or `cluttered_digits` where no path is given.
        path: file or folder of images; read on the worker.
        download: let torchvision fetch the data into `path`.
        size: side in pixels to which all images are resized; required for mixed sizes.
        limit: keep at most so many training images, drawn with `seed`.
        validation: share of the training images set apart for selection, where the data
            brings no validation split.
        test: likewise for the test split.
        seed: of the splits and of drawn images, apart from the study's seed.
        options: passed to a data set of your own.
    """

    name: str | None = None
    path: str | None = None
    download: bool = False
    size: Annotated[int, Field(ge=4, le=1024)] | None = None
    limit: PositiveInt | None = None
    validation: Fraction = 0.1
    test: Fraction = 0.2
    seed: int = 0
    options: dict[str, Any] = {}

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """Workers and later resumes run in other folders than the user does now."""
        if path is not None and "\0" in path:
            raise ValueError("a path cannot hold a zero byte")
        try:
            return None if path is None else str(Path(path).expanduser().absolute())
        except RuntimeError:
            raise ValueError("it begins in the home of somebody who has none here") from None


class EncoderConfig(Model):
    """The network whose features are wanted.

    Args:
        name: in `sweep.encoders.ENCODERS`, or `"package.module:function"`.
        stem: of a ResNet: `cifar` (3x3, no pooling; SimCLR, appendix B.9) or `imagenet`.
        width: channels of the first stage; by default 64 for a ResNet, 32 for `small_conv`.
        options: passed to an encoder of your own.
    """

    name: str = "resnet18"
    stem: Literal["cifar", "imagenet"] = "cifar"
    width: Annotated[int, Field(ge=8, le=1024)] | None = None
    options: dict[str, Any] = {}


class ProjectorConfig(Model):
    """Linear-BN-ReLU ... Linear on top of the encoder, thrown away after pretraining.

    Args:
        d: width of the output, the paper's d.
        hidden: width of the hidden layers, by default d.
        layers: linear layers; 2 in alpha-ReQ (fastssl), 3 in Barlow Twins.
    """

    d: Annotated[int, Field(ge=2, le=65536)] = 2048
    hidden: PositiveInt | None = None
    layers: Annotated[int, Field(ge=1, le=8)] = 2


class ObjectiveConfig(Model):
    """The loss over two views.

    Args:
        name: in `sweep.methods.OBJECTIVES`, or `"package.module:function"`.
        lambd: weight of the off-diagonal terms; 5e-3 in Barlow Twins (Zbontar 2021, 3.).
        options: passed to an objective of your own.
    """

    name: str = "barlow_twins"
    lambd: PositiveFloat = 5e-3
    options: dict[str, Any] = {}


class AugmentConfig(Model):
    """Two random views of each image; defaults of alpha-ReQ for 32 pixels (fastssl).

    Args:
        crop_min, crop_max: share of the area kept by a random resized crop.
        flip: probability of a horizontal flip.
        jitter: probability of colour jitter.
        brightness, contrast, saturation, hue: half-widths of the jitter's factors.
        grey: probability of a grey image.
        blur: probability of a Gaussian blur, standard deviation 0.1 to 2 pixels.
        solarize: probability of inverting what is brighter than one half.
    """

    crop_min: Annotated[float, Field(gt=0, le=1)] = 0.08
    crop_max: Annotated[float, Field(gt=0, le=1)] = 1.0
    flip: Probability = 0.5
    jitter: Probability = 0.8
    brightness: Probability = 0.4
    contrast: Probability = 0.4
    saturation: Probability = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    grey: Probability = 0.2
    blur: Probability = 0.0
    solarize: Probability = 0.0

    @model_validator(mode="after")
    def _crop_is_an_interval(self) -> AugmentConfig:
        if self.crop_min > self.crop_max:
            raise ValueError(f"crop_min {self.crop_min} exceeds crop_max {self.crop_max}")
        return self


class TrainConfig(Model):
    """The optimiser's part of pretraining; defaults of alpha-ReQ for CIFAR-10 (fastssl).

    Args:
        epochs: passes over the images.
        batch: images in a step, each seen in two views.
        optimizer: `adam`, or `lars` (You 2017; Barlow Twins' own).
        lr: learning rate at its highest.
        weight_decay: L2 added to the gradient; for LARS, weights of two or more axes only.
        warmup_epochs: epochs of linear warm-up; what is left follows half a cosine to 0.
        precision: `bfloat16` (autocast), `float32`, or `auto`: bfloat16 where the device
            multiplies matrices in it.
        channels_last: memory layout of images; by default where the device prefers it.
        compile: pass the encoder through torch.compile.
        joint_batch_norm: both views in one batch, one set of batch-norm statistics;
            the original runs them apart.
    """

    epochs: PositiveInt = 100
    batch: Annotated[int, Field(ge=4)] = 512
    optimizer: Literal["adam", "lars"] = "adam"
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegative = 1e-6
    warmup_epochs: NonNegative = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: bool | None = None
    compile: bool = False
    joint_batch_norm: bool = False

    @model_validator(mode="after")
    def _warmup_fits(self) -> TrainConfig:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} exceeds epochs {self.epochs}")
        return self


class CriteriaConfig(Model):
    """Label-free measures of the features.

    Args:
        names: in `sweep.criteria.CRITERIA`, or `"package.module:function"`.
        first, last: ranks, from 1, between which alpha is fitted; 4..100 in alpha-ReQ.
        images: training images used, unaugmented; 10,000 in alpha-ReQ.
        at: fractions of pretraining at which to measure besides its end.
    """

    names: tuple[str, ...] = ("alpha", "rankme")
    first: PositiveInt = 4
    last: PositiveInt = 100
    images: Annotated[int, Field(ge=2)] = 10_000
    at: tuple[Fraction, ...] = ()

    @model_validator(mode="after")
    def _window_has_ranks(self) -> CriteriaConfig:
        if self.last < self.first + 2:
            raise ValueError(
                f"the window {self.first}..{self.last} has fewer than 3 ranks; "
                "set criteria.last to first + 2 or more"
            )
        return self


class ProbeConfig(Model):
    """How a model's accuracy is read off frozen features.

    Args:
        name: in `sweep.probes.PROBES`, or `"package.module:function"`.
        data: another labelled data set; by default the study's own.
        at: fractions of pretraining at which to probe besides its end: the online probe that
            successive halving goes by. Each is one more look at the labels.
        test: whose test accuracy is read: the `winner`'s, once, or of `all`, for a table
            over which rules are compared afterwards. No rule sees it.
        l2: strengths among which the linear probe chooses on the validation split: weight
            of half the squared norm of the weights beside the mean loss.
        k, temperature: of the nearest-neighbour probe; 20 and 0.07 in solo-learn.
    """

    name: str = "linear"
    data: DataConfig | None = None
    at: tuple[Fraction, ...] = ()
    test: Literal["winner", "all"] = "winner"
    l2: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (
        1e-5, 1e-4, 1e-3, 1e-2, 1e-1,
    )  # fmt: skip
    k: PositiveInt = 20
    temperature: PositiveFloat = 0.07


class RuleConfig(Model):
    """Who decides which models are probed.

    Args:
        name: in `sweep.rules.RULES`, or `"package.module:function"`.
        round: M of the authors' rule, the models looked at before the bracket moves.
        sync: exact rounds with a barrier, as published; otherwise the bracket moves after
            each probe and nobody waits.
        probes: how many models are probed by `random` (10) and by those that trust one
            criterion, `lowest_loss`, `largest_rankme`, `alpha_one` (1).
        eta: of successive halving and ASHA: of those at a rung, one in `eta` goes on.
        tolerance: `goldilocks` stops once another probe is expected to gain no more
            accuracy than this.
        confidence: of its zone: how likely the best model lies in it.
        risk: where it is eager, `goldilocks` gives up trials on their way and candidates never
            begun as long as the best of all is among them with at most this probability, in
            all, as far as it can tell; 0 gives nobody up.
        eager: `goldilocks` probes while others are still being pretrained, to save
            pretraining; by default where it can: with criteria at fractions of training, or
            a proposer.
        features: over what it fits the accuracies: the `criteria` (alpha and RankMe), or
            `everything` known without labels (the varied fields, loss, the fit of alpha, too).
    """

    name: str = "goldilocks"
    round: Annotated[int, Field(ge=4)] = 10
    sync: bool = False
    probes: PositiveInt | None = None
    eta: Annotated[float, Field(gt=1)] = 3.0
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.0005
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    risk: Annotated[float, Field(ge=0, lt=1)] = 0.05
    eager: bool | None = None
    features: Literal["criteria", "everything"] = "criteria"


class BudgetConfig(Model):
    """What the study may spend; None is without limit.

    Args:
        probes: models probed.
        trials: models pretrained.
        device_seconds: seconds of GPUs (or cores, where there is no GPU) held by trials.
        wall_seconds: seconds on the clock, summed over resumes.
        money: device-hours times `resources.price_per_device_hour`, in its currency.
    """

    probes: Annotated[int, Field(ge=0)] | None = None
    trials: PositiveInt | None = None
    device_seconds: PositiveFloat | None = None
    wall_seconds: PositiveFloat | None = None
    money: PositiveFloat | None = None


class ResourcesConfig(Model):
    """What runs the trials; none of it changes a model's weights.

    Args:
        runner: `ray`, or `local`: in process, one trial at a time, without Ray.
        parallel: M, trials at work at once; by default what the machine holds.
        cpu: cores for each trial, and its threads.
        gpu: GPUs for each trial, 0 to 1; by default 1 where there is one, else 0.
        address: of a running Ray cluster; by default Ray is started here.
        retries: attempts after the first; one that a lost node ended does not count.
        hang_seconds: a worker that yields nothing for so long is killed, which counts as a
            failure. Decoding a large set, a measure or a probe yields nothing until it is done.
        checkpoint_seconds: of training that a kill costs at most; `heartbeat_seconds`, where
            that is longer.
        heartbeat_seconds: between signs of life of a running trial.
        keep: whose encoder stays on disk in the end: `probed` trials, `all`, or the `winner`.
        price_per_device_hour: for the estimate and the budget of money.
    """

    runner: Literal["ray", "local"] = "ray"
    parallel: PositiveInt | None = None
    cpu: PositiveInt = 1
    gpu: Annotated[float, Field(ge=0, le=1)] | None = None
    address: str | None = None
    retries: Annotated[int, Field(ge=0)] = 1
    hang_seconds: PositiveFloat = 1800.0
    checkpoint_seconds: PositiveFloat = 60.0
    heartbeat_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    keep: Literal["probed", "all", "winner"] = "probed"
    price_per_device_hour: NonNegative = 0.0

    @model_validator(mode="after")
    def _hang_outlasts_a_heartbeat(self) -> ResourcesConfig:
        if self.hang_seconds <= self.heartbeat_seconds:
            raise ValueError(
                f"hang_seconds {self.hang_seconds:g} must exceed heartbeat_seconds "
                f"{self.heartbeat_seconds:g}, the time between two signs of life"
            )
        return self


class Range(Model):
    """An interval of values: `points` of them, evenly spaced, or drawn anywhere in it.

    Args:
        low, high: bounds, inclusive.
        points: values of a grid; a random draw needs none.
        log: evenly spaced in the logarithm.
        integer: rounded to whole numbers.
    """

    low: float
    high: float
    points: Annotated[int, Field(ge=1)] | None = None
    log: bool = False
    integer: bool = False

    @model_validator(mode="after")
    def _is_an_interval(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} exceeds high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}, but must be > 0 where log = true")
        if max(-self.low, self.high) >= LARGEST:
            raise ValueError(f"{self.low:g} to {self.high:g} is beyond {LARGEST:g}")
        return self


Axis = Annotated[list[int | float | str | bool], Field(min_length=1)] | Range


class SpaceConfig(Model):
    """What varies between candidates.

    Args:
        axes: field name -> list of values or `Range`. Names are those of the config
            (`"train.lr"`), the short `d`, `lambd`, `lr`, `weight_decay`, `width`, `epochs`,
            `seed`, and `lambd_d`: lambda times d, the better-conditioned axis.
        draw: `grid` (every combination) or `random`.
        count: how many a random draw yields.
        points: the candidates one by one, in place of axes: each a table of field names and
            values, named as axes are.
        proposer: which of them is pretrained next: `order` (at random), or, from what is
            known so far, `improvement` (largest expected improvement per device-second),
            Optuna's `tpe` or `gp`; in `sweep.proposers.PROPOSERS`, or
            `"package.module:function"`.
    """

    axes: dict[str, Axis] = {}
    draw: Literal["grid", "random"] = "grid"
    proposer: str = "order"
    count: PositiveInt | None = None
    points: tuple[dict[str, int | float | str | bool], ...] = ()

    @model_validator(mode="after")
    def _random_has_a_count(self) -> SpaceConfig:
        if self.draw == "random" and self.count is None:
            raise ValueError('draw = "random" needs a count, for example count = 24')
        if self.draw == "grid" and self.count is not None:
            raise ValueError('count belongs to draw = "random"; a grid has as many as it has')
        if self.points and self.axes:
            raise ValueError("points and axes exclude each other; keep one")
        return self


class TrialConfig(Model):
    """One candidate, whole: everything that changes its weights, and how it is looked at."""

    data: DataConfig
    encoder: EncoderConfig
    projector: ProjectorConfig
    objective: ObjectiveConfig
    augment: AugmentConfig
    train: TrainConfig
    criteria: CriteriaConfig
    probe: ProbeConfig
    seed: int
    trial: str = "pretrain"
    options: dict[str, Any] = {}

    def trial_id(self, data_digest: str) -> str:
        """Return ten hex digits that name the weights and nothing else.

        Args:
            data_digest: of the images' content, in place of where they lie.
        """
        weights = self.model_dump(
            mode="json", exclude={"data": {"path", "download"}, "criteria": True, "probe": True}
        )
        return digest({"weights": weights, "data": data_digest}, size=5)


class StudyConfig(Model):
    """A whole study: a space of candidates, a budget and a rule.

    Args:
        name: of the results folder; by default the config file's.
        seed: of the candidates' order, of random draws, and of the weights where no axis
            `seed` varies it.
        trial: `pretrain`, or training code of your own, `"package.module:function"`.
        options: for that function; an axis `"options.name"` varies one.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "study"
    seed: int = 0
    trial: str = "pretrain"
    options: dict[str, Any] = {}
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    projector: ProjectorConfig = ProjectorConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    criteria: CriteriaConfig = CriteriaConfig()
    probe: ProbeConfig = ProbeConfig()
    space: SpaceConfig = SpaceConfig()
    rule: RuleConfig = RuleConfig()
    budget: BudgetConfig = BudgetConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @property
    def rule_in_full(self) -> RuleConfig:
        """The rule, with what follows from other parts filled in."""
        if self.rule.eager is not None:
            return self.rule
        eager = bool(self.criteria.at) or self.space.proposer != "order"
        return self.rule.model_copy(update={"eager": eager})

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
        """Read a TOML file; the file's name is the study's where it gives none.

        Args:
            path: the file.
            overrides: `key=value` with dots for nesting; the value is TOML, or a bare word.

        Raises:
            ConfigError: the file, a key or a value is wrong; the sentence says how.
        """
        path = Path(path)
        try:
            tree = toml(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"There is no config {path}. `sweep init {path}` writes a starter."
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read as TOML: {error}.") from error
        tree.setdefault("name", path.stem)
        return cls.parse(tree, overrides, source=str(path))

    @classmethod
    def parse(
        cls, tree: dict[str, Any], overrides: Sequence[str] = (), *, source: str = "the config"
    ) -> StudyConfig:
        """Validate nested dicts, overrides applied; raise `ConfigError` with every fault."""
        for item in overrides:
            tree = override(tree, item, of_axis=Range.model_fields)
        if why := unreasonable(tree):
            raise ConfigError(f"{source} is not a study: {why}.")
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            faults = "\n".join(f"  {line}" for line in sentences(error, cls, Range))
            raise ConfigError(f"{source} is not a study:\n{faults}") from error


def digest(value: Any, *, size: int = 16) -> str:
    """Return a hex digest of JSON-able `value`, `size` bytes long, the same on any machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
