"""A member of one's own for every seam, each with keys and a seed, as a user would write it.

Each puts its keys and its seed into `MADE`, so that a test can see them.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sweep.config.models import DataConfig
from sweep.core.history import History
from sweep.core.records import Decision, Measure, Verdict
from sweep.criteria import Criterion
from sweep.criteria.encoded import Encoded
from sweep.datasets import Dataset
from sweep.datasets.images import Split, Splits
from sweep.encoders import Encoder
from sweep.methods import Batch, Builder, Facts, Loss, Method
from sweep.probes import Fitted, Labelled, Probe
from sweep.probes.knn import knn
from sweep.proposers import Proposer
from sweep.rules import Rule

Positive = Annotated[float, Field(gt=0)]

MADE: dict[str, tuple[float, int]] = {}


def data(*, margin: Positive = 0.5, seed: int) -> Dataset:
    """Return noisy squares of two brightnesses."""
    MADE["data"] = margin, seed

    def read(config: DataConfig) -> Splits:
        def split(count: int, draw: int) -> Split:
            labels = np.arange(count) % 2
            noise = np.random.default_rng(draw).integers(0, 50, (count, 1, 8, 8))
            bright = noise + (margin * 200 * labels)[:, None, None, None]
            return Split(images=bright.astype(np.uint8), labels=labels)

        train, validation, test = split(80, 0), split(40, 1), split(40, 2)
        pretrain = Split(images=train.images)
        return Splits(pretrain=pretrain, train=train, validation=validation, test=test)

    return read


class Net(nn.Module):
    """One layer."""

    dim = 16

    def __init__(self, shape: tuple[int, int, int], slope: float) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[0] * shape[1] * shape[2], self.dim)
        self.slope = slope

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the features."""
        return nn.functional.leaky_relu(self.linear(x_BCHW.flatten(1)), self.slope)


def encoder(*, margin: Positive = 0.5, seed: int) -> Encoder:
    """Return what builds one layer."""
    MADE["encoder"] = margin, seed
    return lambda shape: Net(shape, margin)


class Spread(Method):
    """Pushes the features of a batch apart."""

    def __init__(self, encoder: nn.Module, margin: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.margin = margin

    def forward(self, batch: Batch) -> Loss:
        """Return how far the features are from the margin."""
        h_BD = self.encoder(batch.view())
        value = (h_BD.std(0) - self.margin).square().mean()
        return Loss(value=value, outputs=h_BD, parts={"spread": value.detach()})


def method(*, margin: Positive = 0.5, seed: int) -> Builder:
    """Return what builds `Spread`."""
    MADE["method"] = margin, seed

    def build(encoder: nn.Module, facts: Facts) -> Method:
        assert not next(encoder.parameters()).is_meta  # a plug-in may read weights
        return Spread(encoder, margin)

    return build


def criterion(*, margin: Positive = 0.5, seed: int) -> Criterion:
    """Return a criterion that is called alpha by no other."""
    MADE["criterion"] = margin, seed

    def measure(encoded: Encoded) -> Measure:
        return Measure(name="width", value=margin * float(encoded.moments.count))

    return measure


def probe(*, margin: Positive = 0.5, seed: int) -> Probe:
    """Return the nearest-neighbour probe."""
    MADE["probe"] = margin, seed

    def fit(train: Labelled, validation: Labelled) -> Fitted:
        return knn(k=5, temperature=margin)(train, validation)

    return fit


def rule(*, margin: Positive = 0.5, seed: int) -> Rule:
    """Return a rule that probes a trial if its share of the alphabet is below the margin."""
    MADE["rule"] = margin, seed

    def decide(history: History) -> Decision:
        verdicts = [
            Verdict(
                trial_id=history.trial_ids[row],
                action="continue" if row < margin * len(history) else "stop",
                reason=f"the margin is {margin:g}",
            )
            for row in history.waiting
        ]
        return Decision(zone=history.zone, verdicts=tuple(verdicts))

    return decide


def proposer(*, margin: Positive = 0.5, seed: int) -> Proposer:
    """Return the order's proposer."""
    MADE["proposer"] = margin, seed
    return lambda history: None


def needy(*, margin: Positive, depth: Annotated[int, Field(ge=1)] = 1) -> Builder:
    """Return what builds `Spread`; `margin` has no default."""
    return lambda encoder, facts: Spread(encoder, margin)


def raising(*, margin: float = 0.5) -> Any:
    """Return what raises when it is used."""

    def use(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"no {margin:g}\nat all")

    return use


def checked(*, margin: float = 0.5) -> Criterion:
    """Return a criterion that refuses narrow features."""

    class Checked:
        def check(self, *, dim: int, images: int) -> None:
            if dim < 100 * margin:
                raise ValueError(f"it needs {100 * margin:g} features, and there are {dim}")

        def __call__(self, encoded: Encoded) -> Measure:
            return Measure(name="checked", value=float(torch.tensor(margin)))

    return Checked()
