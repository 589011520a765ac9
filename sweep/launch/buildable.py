"""Checks that the members of each candidate can be built; counts its weights and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sweep import criteria, encoders, methods, probes
from sweep.config.space import Candidate
from sweep.config.study import TrialConfig
from sweep.core.errors import DataError
from sweep.datasets.cache import Data
from sweep.launch.rehearsal import check_halves
from sweep.methods import Method
from sweep.pretraining.images import training_split
from sweep.pretraining.parallel.checks import check_batch, check_parallel
from sweep.pretraining.train import build_method, total_steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What the cost of a candidate depends on.

    Args:
        weights: of the method, those of the encoder included.
        steps: of its whole training.
    """

    weights: int
    steps: int

    @property
    def cost(self) -> int:
        """A number that grows with the time of the candidate's training."""
        return self.weights * self.steps


def sizes_of(candidates: Sequence[Candidate], data: Data, *, processes: int = 1) -> dict[str, Size]:
    """Build every candidate's method, and check that its criteria can be measured.

    Args:
        candidates: bound. Members that several candidates share are built once.
        data: the images.
        processes: how many processes train a model together.

    Returns:
        trial_id -> its size.

    Raises:
        ConfigError: a member cannot be built, a criterion cannot be measured, or the processes
            cannot share the training.
        DataError: fewer images than a batch, or no labels for a method that is trained with them.
    """
    builds = _Builds(data, processes)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # a config is refused each time, or never
        return {candidate.trial_id: builds.size(candidate.config) for candidate in candidates}


class _Builds:
    """Builds the members of candidates, each member once."""

    def __init__(self, data: Data, processes: int) -> None:
        self._data = data
        self._processes = processes
        self._images = len(data.splits.pretrain)
        self._methods: dict[str, tuple[int, int]] = {}
        self._encoders: dict[str, nn.Module] = {}
        self._measured: set[str] = set()

    def size(self, trial: TrialConfig) -> Size:
        """Return the number of weights and of steps of a candidate."""
        key = trial.encoder.model_dump_json() + trial.method.model_dump_json()
        if key not in self._methods:
            method = self._method(trial)
            check_parallel(trial, method, self._processes)
            split = training_split(method, self._data.splits, name=trial.method.name)
            if self._processes > 1 and not methods.bind(trial.method).ours:
                with methods.bind(trial.method).guarded():
                    check_halves(trial, method, self._data, split)
            weights = sum(weight.numel() for weight in method.parameters())
            self._methods[key] = weights, len(split)
            self._check_measures(trial, dim=int(method.encoder.dim))  # type: ignore[arg-type]  # encoders.build saw an int
        check_batch(trial, self._processes)
        weights, images = self._methods[key]
        if images < trial.train.batch:
            raise DataError(
                f"There are {images} images to pretrain on, fewer than a batch of "
                f"{trial.train.batch}. Set train.batch to {images} or less, or give more images."
            )
        return Size(weights=weights, steps=total_steps(trial, images))

    def _method(self, trial: TrialConfig) -> Method:
        """Build a method, without memory for its weights if it is one of the package.

        A plug-in may read its weights while it is built, so it gets memory and a new encoder.
        """
        ours = methods.bind(trial.method).ours
        with torch.device("meta" if ours else "cpu"):
            return build_method(
                trial,
                self._data.shape,
                images=self._images,
                encoder=self._encoder(trial) if ours else None,
            )

    def _encoder(self, trial: TrialConfig) -> nn.Module:
        """Return an encoder without memory for its weights, for methods of the package."""
        key = trial.encoder.model_dump_json()
        if key not in self._encoders:
            ours = encoders.bind(trial.encoder).ours
            with torch.device("meta" if ours else "cpu"):
                built = encoders.build(trial.encoder, self._data.shape, seed=trial.seed)
            self._encoders[key] = built.to("meta")
        return self._encoders[key]

    def _check_measures(self, trial: TrialConfig, *, dim: int) -> None:
        """Make the probe and the criteria; a criterion may refuse the width of the features."""
        key = f"{dim} {trial.criteria.model_dump_json()} {trial.probe.model_dump_json()}"
        if key in self._measured:
            return
        self._measured.add(key)
        probes.bind(trial.probe, seed=trial.seed).make()
        used = min(trial.criteria.images, self._images)
        for bound in criteria.bind(trial.criteria, seed=trial.seed):
            check = getattr(bound.make(), "check", None)
            if check is not None:
                with bound.guarded():
                    check(dim=dim, images=used)
