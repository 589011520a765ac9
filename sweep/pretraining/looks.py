"""A look at a trial's encoder: its criteria, or its probe, as an observation.

Shapes: N images, B of them in a batch, D features.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from sweep import criteria, probes
from sweep.config.models import DataConfig
from sweep.config.study import TrialConfig
from sweep.core.errors import ConfigError
from sweep.core.records import Measure, Observation
from sweep.criteria.encoded import Encoded
from sweep.datasets.cache import Data, load
from sweep.datasets.few_labels import with_labels
from sweep.datasets.images import Split
from sweep.pretraining.context import Context
from sweep.pretraining.features import encode, encode_all, encode_views
from sweep.pretraining.images import labels_of
from sweep.probes import Fitted, Labelled
from sweep.probes.few import accuracies
from sweep.probes.labelled import accuracy, measured
from sweep.probes.measures import further

log = logging.getLogger(__name__)

TAKEN = ("loss", "accuracy", "test_accuracy")
"""Names of measures that no criterion and no part of a loss may have."""


def measure(
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
    encoded = _encoded(config, context, data, encoder)
    measures = []
    for bound in criteria.bind(config.criteria, seed=config.seed):
        result = criteria.measure(bound, encoded)
        if result.name in TAKEN:
            raise ConfigError(
                f"The criterion {bound.name!r} calls its measure {result.name!r}, which is the "
                "name of another measure. Give it a name of its own."
            )
        detail = {"images": encoded.count, "split": "pretrain", **result.detail}
        measures.append(replace(result, detail=detail))
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


def probe(
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
    train, validation = _parts(config, context, data, encoder)
    fit = probes.bind(config.probe, seed=config.seed).make()
    fitted = fit(train, validation)
    classes = _labelled_data(config, data).splits.classes
    first = _described(config, fitted.measure, fitted, validation, classes)
    if config.probe.few and fraction >= 1.0 and first.usable:
        few = accuracies(
            fit, train, validation, config.probe.few,
            seeds=config.probe.few_seeds, seed=config.data.seed,
        )  # fmt: skip
        first = replace(first, detail={**first.detail, "few": few})
    measures = [first]
    if config.probe.test == "all" and fraction >= 1.0:
        measures.append(accuracy_on_test(config, context, data, encoder, fitted))
    return Observation(
        stage="probed",
        step=step,
        fraction=fraction,
        measures=tuple(measures),
        detail={"classes": len(classes)},
    )


def accuracy_on_test(
    config: TrialConfig, context: Context, data: Data, encoder: nn.Module, fitted: Fitted
) -> Measure:
    """Return the accuracy on the test split. No other function reads the test split."""
    splits = _labelled_data(config, data).splits
    test = _labelled(splits.test, encoder, data, context)
    share = accuracy(fitted.predict(test.features_ND), test.labels_N)
    measure = replace(measured(share, len(test), {}), name="test_accuracy")
    return _described(config, measure, fitted, test, splits.classes)


def fit_probe(config: TrialConfig, context: Context, data: Data, encoder: nn.Module) -> Fitted:
    """Return the probe, fitted to the training split and chosen on the validation split."""
    train, validation = _parts(config, context, data, encoder)
    return probes.bind(config.probe, seed=config.seed).make()(train, validation)


def _parts(
    config: TrialConfig, context: Context, data: Data, encoder: nn.Module
) -> tuple[Labelled, Labelled]:
    """Return the features of the training and of the validation split, with the labels."""
    splits = _labelled_data(config, data).splits
    train, validation = with_labels(splits, config.labels, seed=config.data.seed)
    return _labelled(train, encoder, data, context), _labelled(validation, encoder, data, context)


def _described(
    config: TrialConfig,
    measure: Measure,
    fitted: Fitted,
    images: Labelled,
    classes: tuple[str, ...],
) -> Measure:
    """Return an accuracy with the further measures of the same predictions in its detail."""
    if measure.value is None:
        return measure
    more = further(
        fitted.predict(images.features_ND),
        images.labels_N,
        classes=classes,
        top_N5=None if fitted.top is None else fitted.top(images.features_ND),
    )
    metric = config.probe.metric
    if metric != "accuracy":
        if metric not in more["further"]:
            raise ConfigError(
                f"probe.metric is {metric!r}, which needs more than five classes and a probe that "
                "ranks them. Choose accuracy, balanced_accuracy or macro_f1."
            )
        more["maximised"] = metric
    return replace(measure, detail={**measure.detail, **more})


def _labelled_data(config: TrialConfig, data: Data) -> Data:
    other: DataConfig | None = config.probe.data
    return data if other is None else load(other)


def _labelled(split: Split, encoder: nn.Module, data: Data, context: Context) -> Labelled:
    features_ND = encode_all(
        encoder, split.images, mean=data.mean, std=data.std, device=context.device
    )
    return Labelled(features_ND=features_ND, labels_N=labels_of(split).to(features_ND.device))
