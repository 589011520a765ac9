"""What a plan depends on: the images, the machine, and what was measured on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.planning.ladder import Rung


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """The images, from a report of how they are read (`sweep.datasets.reading.report`).

    Args:
        pretrain, train, validation, test: images of each split.
        drawn: the validation split is drawn, so its share may be chosen.
        classes: how many there are; 0 without labels.
        chance: share of the largest class, or None.
        smallest, largest: (width, height) in pixels.
        channels: of an image, or None if not read.
    """

    pretrain: int
    train: int
    validation: int
    test: int
    drawn: bool
    classes: int
    chance: float | None
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channels: int | None

    @classmethod
    def of_report(cls, report: Mapping[str, Any]) -> Images:
        """Return the facts of a report."""
        splits, size = report["splits"], report["size"]
        counts = {name: int(split["images"]) for name, split in splits.items()}
        return cls(
            **{name: counts.get(name, 0) for name in ("pretrain", "train", "validation", "test")},
            drawn=splits.get("validation", {}).get("origin") not in ("names", "column"),
            classes=len(report["classes"]),
            chance=report.get("chance"),
            smallest=tuple(size["smallest"]),
            largest=tuple(size["largest"]),
            channels=report["channels"],
        )

    @property
    def labelled(self) -> int:
        """Images that a probe reads: it is fitted on some and chosen by the others."""
        return self.train + self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The devices that trials share.

    Args:
        workers: trials that run at once, one on each GPU or on each core.
        gpus: of the machine.
    """

    workers: int
    gpus: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """A rung and what one optimiser step of it takes.

    Args:
        rung: encoder and size.
        step_seconds: of one step of a trial, all its processes together.
    """

    rung: Rung
    step_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that a plan depends on.

    Args:
        images: as they are read for the chosen rung.
        machine: the devices.
        seconds: that the whole command may take.
        elapsed: seconds that it has taken so far.
        timed: the chosen rung and its step.
        look_seconds: of one probe with all labelled images; 0 without labels.
        batch: images of a step.
        chosen: keys of `[data]` that were chosen before the images were read: `size`,
            `validation` and `test`.
    """

    images: Images
    machine: Machine
    seconds: float
    elapsed: float
    timed: Timed
    look_seconds: float
    batch: int
    chosen: Mapping[str, Any] = field(default_factory=dict)
