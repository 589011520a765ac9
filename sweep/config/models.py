"""The config of a study: TOML and `key=value`, read into frozen pydantic models.

Defaults are published values with their source. Names contain units. Nothing here opens data or
imports torch. Checks that need them (an encoder's width, a data path) are in
`sweep.launch.preflight`. `sweep.config.space` makes candidates from axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from sweep.core.errors import nearest
from sweep.core.limits import LARGEST

Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


def _whole_if_above_one(cores: float) -> float:
    if cores > 1 and cores != int(cores):
        raise ValueError(f"{cores:g} cores: use a whole number, or a part of one core")
    return int(cores) if cores >= 1 else cores


Cores = Annotated[float, Field(ge=0.001), AfterValidator(_whole_if_above_one)]
"""A whole number of cores, or a part of one core; Ray counts in steps of 0.0001."""

SHORT = {
    "d": "method.d",
    "lambd": "method.lambd",
    "lr": "train.lr",
    "weight_decay": "train.weight_decay",
    "width": "encoder.width",
    "epochs": "train.epochs",
}
"""Short names of fields. They may be axes of a space, and are columns of the table `trials`."""


class Model(BaseModel):
    """Frozen, and a key that is not a field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MemberConfig(Model):
    """The name of a member of a seam, and its keys, which the member itself declares.

    A key that is not a field here is the member's: `sweep.core.plugins.bind` checks it.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """The member's own keys, as given."""
        return dict(self.model_extra or {})

    def with_parameters(self, keys: Mapping[str, Any]) -> Self:
        """Return this config with other keys of the member."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**fields, **keys})


class DataConfig(MemberConfig):
    """Which images, and how they are split; also the keys of the data set.

    Args:
        name: a data set in `sweep.datasets.DATASETS`, or `"package.module:name"`. By default it
            is detected at `path`, or is `cluttered_digits` if there is no path.
        path: file or folder of images; read on the worker.
        download: let torchvision fetch the data into `path`.
        size: side in pixels to which all images are resized; required for mixed sizes.
        limit: largest number of training images; they are drawn with `seed`.
        validation: share of the training images that becomes the validation split, if the data
            has no validation split.
        test: share of the training images that becomes the test split, if the data has none.
        seed: of the splits and of drawn images; independent of the study's seed.
        reading: version of the reading of image folders and tables. A new study takes the newest;
            one that began before version 2 keeps to version 1, and is told.
    """

    name: str | None = None
    path: str | None = None
    download: bool = False
    size: Annotated[int, Field(ge=4, le=1024)] | None = None
    limit: PositiveInt | None = None
    validation: Fraction = 0.1
    test: Fraction = 0.2
    seed: int = 0
    reading: Literal[1, 2] | None = None

    @field_validator("path", mode="before")
    @classmethod
    def _number_is_a_name(cls, path: Any) -> Any:
        """Read `path = 2024` as a name."""
        return str(path) if type(path) is int else path

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """Return an absolute path, because workers and resumes may run in other folders."""
        if path is not None and "\0" in path:
            raise ValueError("a path cannot hold a zero byte")
        try:
            return None if path is None else str(Path(path).expanduser().absolute())
        except RuntimeError:
            raise ValueError("it begins with the home of a user who has none here") from None


class EncoderConfig(MemberConfig):
    """The network whose features are measured and probed; besides `name`, the encoder's keys.

    Args:
        name: in `sweep.encoders.ENCODERS`, or `"package.module:name"`.
    """

    name: str = "resnet18"


class MethodConfig(MemberConfig):
    """How the encoder is trained without labels; besides `name`, the keys of the method.

    Args:
        name: in `sweep.methods.METHODS`, or `"package.module:name"`.
    """

    name: str = "barlow_twins"


Preset = Literal["natural", "medical", "satellite", "digits"]

PRESETS: Mapping[str, Mapping[str, float]] = {
    "natural": {},
    "medical": {"crop_min": 0.3, "rotate": 15.0, "saturation": 0.0, "grey": 0.0},
    "satellite": {"crop_min": 0.2, "flip_vertical": 0.5, "rotate": 180.0},
    "digits": {"crop_min": 0.6, "flip": 0.0, "rotate": 15.0, "saturation": 0.0, "grey": 0.0},
}
"""Keys of `[augment]` for kinds of images: own choices, by what leaves the meaning as it is.

Colours mean something in medical images, a mirror turns a digit into none, and the view from above
has no direction.
"""


class AugmentConfig(Model):
    """Random views of each image; defaults of alpha-ReQ for 32 pixels (fastssl).

    Args:
        preset: sets keys that are not given; see `PRESETS`. `natural` is the defaults.
        crop_min, crop_max: share of the area kept by a random resized crop.
        flip: probability of a horizontal flip.
        flip_vertical: probability of a vertical flip.
        rotate: largest angle in degrees of a rotation, either way; the border is mirrored.
        jitter: probability of colour jitter.
        brightness, contrast, saturation, hue: half-widths of the jitter's factors.
        grey: probability of a grey image.
        blur: probability of a Gaussian blur, standard deviation 0.1 to 2 pixels.
        solarize: probability that pixels brighter than one half are inverted.
        second: keys of the second view's recipe that differ from these; by default none differ.
    """

    preset: Preset | None = None
    crop_min: Annotated[float, Field(gt=0, le=1)] = 0.08
    crop_max: Annotated[float, Field(gt=0, le=1)] = 1.0
    flip: Probability = 0.5
    flip_vertical: Probability = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    jitter: Probability = 0.8
    brightness: Probability = 0.4
    contrast: Probability = 0.4
    saturation: Probability = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    grey: Probability = 0.2
    blur: Probability = 0.0
    solarize: Probability = 0.0
    second: dict[str, float] = {}

    @model_validator(mode="before")
    @classmethod
    def _preset_sets_what_is_not_given(cls, keys: Any) -> Any:
        if isinstance(keys, dict) and keys.get("preset") in PRESETS:
            return {**PRESETS[keys["preset"]], **keys}
        return keys

    @model_validator(mode="after")
    def _recipes_are_possible(self) -> Self:
        if self.crop_min > self.crop_max:
            raise ValueError(f"crop_min {self.crop_min} exceeds crop_max {self.crop_max}")
        if self.second:
            known = sorted(set(type(self).model_fields) - {"second", "preset"})
            if unknown := sorted(set(self.second) - set(known)):
                raise ValueError(
                    f"second.{unknown[0]} is not a field.{nearest(unknown[0], known)} Fields here: "
                    f"{', '.join(known)}"
                )
            try:
                self.recipe(second=True)
            except ValidationError as error:
                fault = error.errors(include_url=False)[0]
                key = ".".join(["second", *map(str, fault["loc"])])
                raise ValueError(f"{key}: {fault['msg']}, and it is {fault['input']!r}") from None
        return self

    def recipe(self, *, second: bool) -> AugmentConfig:
        """Return the recipe of the first or of the second view."""
        if not (second and self.second):
            return self
        first = self.model_dump(exclude={"second"})
        return type(self).model_validate({**first, **self.second})


class TrainConfig(Model):
    """Length and optimiser of pretraining; defaults of alpha-ReQ for CIFAR-10 (fastssl).

    Args:
        epochs: passes over the images.
        batch: images in a step.
        optimizer: `adam`, or `lars` (You 2017; Barlow Twins' own).
        lr: learning rate at its highest.
        weight_decay: L2 added to the gradient; for LARS, weights of two or more axes only.
        warmup_epochs: epochs of linear warm-up; then the rate follows half a cosine to 0.
        precision: `bfloat16` (autocast), `float32`, or `auto`: bfloat16 if the device multiplies
            matrices in bfloat16. On a GPU, torch rounds the inputs of float32 convolutions to TF32.
        channels_last: memory layout of images; by default true if it is faster on the device.
        compile: pass the encoder through torch.compile.
        sync_batch_norm: if several processes train a model (`resources.processes`), batch norm
            takes its statistics from the whole batch. With false, each process takes those of its
            part, and the model depends on the number of processes.
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
    sync_batch_norm: bool = True

    @model_validator(mode="after")
    def _warmup_fits(self) -> TrainConfig:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} exceeds epochs {self.epochs}")
        return self


class CriteriaConfig(Model):
    """Label-free measures of the features; also a table of keys for each criterion.

    `[criteria.alpha] first = 4` is a key of the criterion `alpha`.

    Args:
        names: in `sweep.criteria.CRITERIA`, or `"package.module:function"`.
        images: training images used, unaugmented; 10,000 in alpha-ReQ.
        at: fractions of pretraining at which to measure besides its end.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    names: tuple[str, ...] = ("alpha", "rankme")
    images: Annotated[int, Field(ge=2)] = 10_000
    at: tuple[Fraction, ...] = ()

    @model_validator(mode="after")
    def _keys_belong_to_a_criterion(self) -> Self:
        for name, keys in (self.model_extra or {}).items():
            known = sorted(type(self).model_fields)
            if not isinstance(keys, dict):
                raise ValueError(
                    f"{name} is not a field.{nearest(name, known)} Fields here: "
                    f"{', '.join(known)}, and a table of keys for each criterion"
                )
            if name not in self.names:
                raise ValueError(
                    f"there are keys of {name!r}, and names does not hold it. Add it to "
                    "criteria.names, or take its table out"
                )
        return self

    def with_parameters(self, tables: Mapping[str, Any]) -> Self:
        """Return this config with other tables of keys."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**fields, **tables})

    def parameters_of(self, name: str) -> dict[str, Any]:
        """Return the keys of one criterion, as given."""
        return dict((self.model_extra or {}).get(name, {}))


Few = Fraction | Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}/class$")]
"""A share of the labels, or a number of labels of each class."""


class ProbeConfig(MemberConfig):
    """How a model's accuracy is measured on frozen features; also the keys of the probe.

    Args:
        name: in `sweep.probes.PROBES`, or `"package.module:function"`.
        data: another labelled data set; by default the study's own.
        at: fractions of pretraining at which to probe, besides its end: the online probe that
            successive halving uses. Each fraction is one more look at the labels.
        test: for which models the test accuracy is read: the `winner`, once, or `all`, for a
            table over which rules are compared later. Rules never get it.
        metric: what the rule maximises: `accuracy`; `balanced_accuracy` or `macro_f1`, which count
            every class alike; or `top5_accuracy`, for more than five classes.
        few: also fit the probe of a trained model to few labels: shares of the training images such
            as 0.01, or numbers such as `5/class`. The columns are `accuracy@few=0.01`, ...
        few_seeds: draws of the labelled images, over which that accuracy is averaged.
        labels: `free`: the labels exist, and every look may use them. `per_model`: labels are
            bought for each model that is probed, so no model is probed during training.
    """

    name: str = "linear"
    data: DataConfig | None = None
    at: tuple[Fraction, ...] = ()
    test: Literal["winner", "all"] = "winner"
    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy"] = "accuracy"
    few: tuple[Few, ...] = ()
    few_seeds: PositiveInt = 5
    labels: Literal["free", "per_model"] = "free"

    @model_validator(mode="after")
    def _looks_take_no_bought_labels(self) -> Self:
        if self.at and self.labels == "per_model":
            raise ValueError(
                'at asks for labels during training, and labels = "per_model" says that they are '
                "bought for each model; keep one of the two keys"
            )
        return self


class RuleConfig(MemberConfig):
    """The rule that decides which models are probed; besides `name`, the keys of the rule.

    Args:
        name: in `sweep.rules.RULES`, or `"package.module:name"`. `auto` lets the study choose the
            rule before it begins (`sweep.launch.auto`); its keys are those of `race`.
    """

    name: str = "auto"


class ProposerConfig(MemberConfig):
    """Which candidate is pretrained next; besides `name`, the keys of the proposer.

    Args:
        name: in `sweep.proposers.PROPOSERS`, or `"package.module:name"`. `order` follows the
            study's random order. `improvement` (largest expected improvement per device-second)
            and Optuna's `tpe` and `gp` learn from the accuracies so far.
    """

    name: str = "order"


class BudgetConfig(Model):
    """The limits of what the study spends; None is no limit.

    Args:
        probes: models probed.
        labels: labelled images with which each probe is fitted and selected, training and
            validation split together. They are drawn once, with `data.seed`. The test split is
            not affected. A resume cannot change this limit.
        trials: models pretrained.
        device_seconds: seconds of GPUs (or of cores, without a GPU) that trials hold.
        wall_seconds: seconds on the clock, summed over resumes.
        money: device-hours times `resources.price_per_device_hour`, in its currency.
    """

    probes: Annotated[int, Field(ge=0)] | None = None
    labels: PositiveInt | None = None
    trials: PositiveInt | None = None
    device_seconds: PositiveFloat | None = None
    wall_seconds: PositiveFloat | None = None
    money: PositiveFloat | None = None


class ResourcesConfig(Model):
    """How trials are run; no key here changes a model's weights, up to rounding.

    Args:
        runner: `ray`, or `local`: one trial at a time in this process, without Ray.
        parallel: M, the number of trials that run at once; by default as many as fit.
        cpu: cores of each process of a trial, and its number of threads; or a part of one core,
            such as 0.01, for training code that computes elsewhere.
        gpu: GPUs of each trial: 0 to 1, or a whole number above 1, so that a process on each GPU
            trains a part of every batch. By default one for each process if there is a GPU, else 0.
        processes: how many processes of one node train a model together, each on a part of every
            batch; by default 1, or `gpu` if that is above 1. On GPUs each has a GPU of its own.
        address: of a running Ray cluster; by default Ray is started here.
        wait: whether trials ask the cluster for resources that no node has yet, and wait for nodes
            to join. Needs `address`, and `parallel`, because nothing else says what M is.
        retries: attempts after the first; an attempt that a lost node ended does not count.
        hang_seconds: a worker that yields nothing for this long is killed, and the attempt has
            failed. Decoding a large set, a measure or a probe yields nothing until it is done.
        checkpoint_seconds: the most training time that a kill costs; or `heartbeat_seconds`, if
            that is longer.
        heartbeat_seconds: between two observations of a training trial.
        keep: which encoders stay on disk at the end: of `probed` trials, of `all`, or of the
            `winner`.
        price_per_device_hour: for the estimate and the budget of money.
    """

    runner: Literal["ray", "local"] = "ray"
    parallel: PositiveInt | None = None
    cpu: Cores = 1
    gpu: NonNegative | None = None
    processes: PositiveInt | None = None
    address: str | None = None
    wait: bool = False
    retries: Annotated[int, Field(ge=0)] = 1
    hang_seconds: PositiveFloat = 1800.0
    checkpoint_seconds: PositiveFloat = 60.0
    heartbeat_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    keep: Literal["probed", "all", "winner"] = "probed"
    price_per_device_hour: NonNegative = 0.0

    @property
    def processes_of_a_trial(self) -> int:
        """How many processes train a model together."""
        if self.processes is not None:
            return self.processes
        return int(self.gpu) if self.gpu is not None and self.gpu > 1 else 1

    @model_validator(mode="after")
    def _each_process_has_a_gpu_or_none(self) -> ResourcesConfig:
        if self.gpu is None:
            return self
        if self.gpu > 1 and self.gpu != int(self.gpu):
            raise ValueError(
                f"gpu is {self.gpu:g}, and must be 0 to 1, or a whole number of GPUs above 1"
            )
        processes = self.processes_of_a_trial
        if self.gpu and max(self.gpu, processes) > 1 and processes != self.gpu:
            raise ValueError(
                f"processes is {processes} and gpu is {self.gpu:g}, and each process of a trial "
                f"has one GPU; leave out one of the two, or set gpu to {processes} or to 0"
            )
        return self

    @model_validator(mode="after")
    def _hang_outlasts_a_heartbeat(self) -> ResourcesConfig:
        if self.hang_seconds <= self.heartbeat_seconds:
            raise ValueError(
                f"hang_seconds {self.hang_seconds:g} must exceed heartbeat_seconds "
                f"{self.heartbeat_seconds:g}, the time between two signs of life"
            )
        return self


class Range(Model):
    """An interval of values: evenly spaced points of a grid, or values drawn at random.

    Args:
        low, high: bounds, inclusive.
        points: number of values in a grid; a random draw does not use it.
        log: whether values are evenly spaced, or drawn, in the logarithm.
        integer: whether values are rounded to whole numbers.
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
        count: number of candidates of a random draw.
        points: a list of single candidates, instead of axes: each is a table of field names, as
            for axes, and values.
        proposer: chooses the next candidate: a name, or a table with a name and keys.
    """

    axes: dict[str, Axis] = {}
    draw: Literal["grid", "random"] = "grid"
    proposer: ProposerConfig = ProposerConfig()
    count: PositiveInt | None = None
    points: tuple[dict[str, int | float | str | bool], ...] = ()

    @field_validator("proposer", mode="before")
    @classmethod
    def _name_alone(cls, proposer: Any) -> Any:
        """Read a bare name as a proposer without keys."""
        return {"name": proposer} if isinstance(proposer, str) else proposer

    @model_validator(mode="after")
    def _random_has_a_count(self) -> SpaceConfig:
        if self.draw == "random" and self.count is None:
            raise ValueError('draw = "random" needs a count, for example count = 24')
        if self.draw == "grid" and self.count is not None:
            raise ValueError('count needs draw = "random"; a grid has a fixed number of candidates')
        if self.points and self.axes:
            raise ValueError("points and axes exclude each other; keep one")
        return self
