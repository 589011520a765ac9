"""The keys of the config that a plan sets, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sweep.planning.facts import Facts
from sweep.planning.ladder import STEPS_OF_A_LARGER_ONE
from sweep.planning.length import FEWEST_EPOCHS, Length

LOCAL_SECONDS = 180.0
"""Below this time the trials run one after another in this process, because Ray takes seconds to
start and to import torch in each worker."""
D = 512
"""Outputs of the projector; 256 to 1,024 are the best of complete tables."""
FAVOURITES: tuple[Mapping[str, float], ...] = (
    {"lambd": 8 / D, "lr": 3e-3, "augment.crop_min": 0.6},
    {"lambd": 4 / D, "lr": 3e-3, "augment.crop_min": 0.4},
    {"lambd": 8 / D, "lr": 1e-3, "augment.crop_min": 0.2},
    {"lambd": 12 / D, "lr": 5e-3, "augment.crop_min": 0.8},
)
"""Points that complete tables favour, the first first (`experiments/landscapes`, the tables of four
axes): lambda times d is 6 to 12 in the best models. A smallest crop of 0.6 costs a point on
photographs, and a smaller one costs 25 points on images of small objects."""
LAMBD_D, LR = (2.0, 30.0), (1e-3, 1e-2)
"""Ranges of drawn points, in the logarithm: they hold the best models of the same tables."""
CROPS, FLIPS = (0.08, 0.2, 0.4, 0.7), (0.0, 0.5)
"""Values of drawn points: from what suits photographs to what suits small objects and letters."""

Kind = Literal["search", "whole", "unlabelled", "plain"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A key of the config, and why it has its value.

    Args:
        key: with dots, from the top of the config.
        value: as in TOML.
        why: a sentence without a full stop.
    """

    key: str
    value: Any
    why: str


def data_settings(facts: Facts, length: Length) -> list[Setting]:
    """Return the keys of `[data]` that were chosen, each with its reason."""
    whys = {
        "size": f"the largest size for which a model has {STEPS_OF_A_LARGER_ONE:,} steps in the "
        "time, or the smallest of those tried",
        "validation": "the validation split chooses among models, and few images choose badly",
    }
    if not facts.images.classes:
        unused = "there are no labels, so nearly all images are there to pretrain on"
        whys |= {"validation": unused, "test": unused}
    settings = [
        Setting(key=f"data.{key}", value=value, why=whys[key])
        for key, value in facts.chosen.items()
    ]
    if length.limit is not None:
        why = f"the time does not allow {FEWEST_EPOCHS} passes over all images"
        settings.append(Setting(key="data.limit", value=length.limit, why=why))
    return settings


def label_settings(facts: Facts, labelled: int | None, length: Length) -> list[Setting]:
    """Return the key that lets each probe read fewer images; none if it reads all."""
    if labelled is None or (length.limit is not None and length.limit <= labelled):
        return []
    return [
        Setting(
            key="probe.data.limit",
            value=labelled,
            why=f"a probe of all {facts.images.train:,} labelled images takes "
            f"{facts.look_seconds:.1f} s here, too long for a look",
        )
    ]


def encoder_settings(facts: Facts) -> list[Setting]:
    """Return the chosen encoder and its keys."""
    rung = facts.timed.rung
    why = (
        f"a step of {facts.batch} images takes {facts.timed.step_seconds:.3g} s here; the largest "
        "encoder that the time allows"
    )
    settings = [Setting(key="encoder.name", value=rung.encoder, why=why)]
    settings += [
        Setting(key=f"encoder.{name}", value=value, why="of the chosen encoder")
        for name, value in rung.keys.items()
    ]
    return settings


def method_settings(kind: Kind) -> list[Setting]:
    """Return the method; a `plain` model has all its defaults."""
    if kind == "plain":
        return [
            Setting(key="method.name", value="barlow_twins", why="the default, with its defaults")
        ]
    return [
        Setting(
            key="method.name",
            value="barlow_twins",
            why="complete tables of this method say which values are worth a try",
        ),
        Setting(
            key="method.d",
            value=D,
            why="lambda times d matters more than d; 256 to 1,024 are the best of complete tables",
        ),
    ]


def training_settings(facts: Facts, length: Length, why: str) -> list[Setting]:
    """Return the keys of `[train]`; `why` is the reason for the number of epochs."""
    settings = [
        Setting(key="train.epochs", value=length.epochs, why=why),
        Setting(
            key="train.batch",
            value=facts.batch,
            why="256, or so few that an epoch has ten steps",
        ),
    ]
    if length.epochs >= 10:
        settings.append(
            Setting(
                key="train.warmup_epochs", value=1, why="a large rate from the first step is risky"
            )
        )
    return settings


def search_settings(count: int) -> list[Setting]:
    """Return the space of a search: the favourites, and points that are drawn around them."""
    why = (
        f"{count} points: first those that complete tables of other images favour, then drawn "
        f"ones; lambda times d is {LAMBD_D[0]:g} to {LAMBD_D[1]:g}. What suits photographs (small "
        "crops, mirroring) may ruin images of small objects, letters or digits"
    )
    return [Setting(key="space.points", value=searched(count), why=why)]


def searched(count: int) -> list[dict[str, float]]:
    """Return the points of a search, the same for each count up to its length."""
    points = [{**favourite, "augment.flip": 0.5} for favourite in FAVOURITES]
    draws = np.random.default_rng(0)
    while len(points) < count:
        lambd_d, lr = (10 ** draws.uniform(*np.log10(ends)) for ends in (LAMBD_D, LR))
        points.append(
            {
                "lambd": float(f"{lambd_d / D:.3g}"),
                "lr": float(f"{lr:.3g}"),
                "augment.crop_min": float(draws.choice(CROPS)),
                "augment.flip": float(draws.choice(FLIPS)),
            }
        )
    return points[:count]


def resource_settings(facts: Facts) -> list[Setting]:
    """Return the runner, and how many trials it runs at once."""
    if facts.seconds < LOCAL_SECONDS:
        why = "starting Ray would take too large a part of so short a time"
        return [Setting(key="resources.runner", value="local", why=why)]
    return [Setting(key="resources.parallel", value=facts.machine.workers, why="trials at once")]


def favourites(models: int) -> list[Mapping[str, float]]:
    """Return the most promising points, the first first; then the same with other seeds."""
    count = len(FAVOURITES)
    return [{**FAVOURITES[n % count], "seed": n // count} for n in range(models)]
