"""Short runs of `pretrain` on random images: 40 images of 8 x 8 pixels, 15 steps of 8 images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from sweep.config.study import StudyConfig, TrialConfig
from sweep.pretraining.train import Progress, Run, begin, pretrain

SHAPE = (3, 8, 8)
IMAGES = torch.randint(
    0, 256, (40, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)

KEYS: Mapping[str, Mapping[str, Any]] = {
    "barlow_twins": {"d": 16},
    "byol": {"d": 16, "hidden": 32},
    "diet": {},
    "simclr": {"d": 16},
    "vicreg": {"d": 16},
}
"""Keys with which each method is small."""


def small_method(name: str = "barlow_twins") -> dict[str, Any]:
    """Return the config of a method with the keys that make it small."""
    return {"name": name, **KEYS.get(name, {})}


def trial(seed: int = 0, **tables: Any) -> TrialConfig:
    """Return a candidate that trains `small_conv`; `tables` are merged into its config."""
    tree: dict[str, Any] = {
        "encoder": {"name": "small_conv"},
        "method": small_method(),
        "train": {"epochs": 3, "batch": 8},
    }
    for table, keys in tables.items():
        other_member = "name" in keys
        tree[table] = {**({} if other_member else tree.get(table, {})), **keys}
    study = StudyConfig.parse(tree)
    dumped = study.model_dump(include=set(TrialConfig.model_fields))
    return TrialConfig.model_validate({**dumped, "seed": seed})


def fresh(config: TrialConfig, *, images: Tensor = IMAGES) -> Run:
    """Return a run at step 0."""
    _, channels, height, width = images.shape
    return begin(config, (channels, height, width), "cpu", images=len(images))


def going(
    run: Run, config: TrialConfig, *, images: Tensor = IMAGES, heartbeat: float = 0.0, **kwargs: Any
) -> Iterator[Progress]:
    """Train a run on; by default it yields after each step."""
    return pretrain(
        run,
        images,
        config,
        device="cpu",
        mean=[0.5] * images.shape[1],
        std=[0.25] * images.shape[1],
        heartbeat_seconds=heartbeat,
        **kwargs,
    )


def trained(config: TrialConfig, **kwargs: Any) -> tuple[Run, list[Progress]]:
    """Return a run at its end, and what it yielded."""
    run = fresh(config)
    return run, list(going(run, config, **kwargs))


def weights(run: Run) -> list[Tensor]:
    """Return all weights and buffers of a run's method."""
    return list(run.method.state_dict().values())


def same(a: Run, b: Run) -> bool:
    """Return whether two runs have the same weights and buffers, bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))
