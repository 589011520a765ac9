"""Where and on what a trial runs; without torch, which training code of one's own may not need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.config.models import TrialConfig
from sweep.core.records import Observation
from sweep.storage import disk as files
from sweep.storage.disk import Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Where and on what a trial runs; none of it changes its weights.

    Args:
        folder: the trial's own; nothing else is written. A `Path`, or a `UPath` where the
            study lies on an object store.
        device: `cpu`, `cuda`, `cuda:1`, ...
        share: devices held, for the cost: GPUs, or cores where there is no GPU.
        threads: of torch on the CPU.
        heartbeat_seconds: at most so long between two observations of training.
        checkpoint_seconds: of training that a kill costs at most; a heartbeat, where that is
            longer; and a step.
    """

    folder: Place
    device: str = "cpu"
    share: float = 1.0
    threads: int = 1
    heartbeat_seconds: float = 5.0
    checkpoint_seconds: float = 60.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as they travel to a worker."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "folder": str(self.folder)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Context:
        """Read what `to_json` wrote."""
        return cls(**{**fields, "folder": files.place(fields["folder"])})


TrialFn = Callable[[TrialConfig, Context], Iterator[Observation]]
