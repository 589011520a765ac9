"""Where and on what a trial runs. Does not import torch: some training code does not need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sweep.config.study import TrialConfig
from sweep.core.records import Observation
from sweep.storage.base import NativePath, Storage
from sweep.storage.location import Location, locate


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Where and on what a trial runs; nothing here changes its weights.

    Args:
        folder: the trial's own, the only folder that it writes to. A `Path`, or a `UPath` if the
            study is on an object store.
        device: `cpu`, `cuda`, `cuda:1`, ...
        share: devices that the trial holds: GPUs, or cores if it has no GPU. The cost counts them.
        threads: torch's threads on the CPU, of each process.
        heartbeat_seconds: the longest time between two observations of training.
        checkpoint_seconds: the training time that a kill costs at most, besides one step; or a
            heartbeat, if that is longer.
        processes: how many processes train together, on one GPU each or on the CPU.
        storage: of the folder; by default the storage that the folder's address names.
    """

    folder: NativePath
    device: str = "cpu"
    share: float = 1.0
    threads: int = 1
    heartbeat_seconds: float = 5.0
    checkpoint_seconds: float = 60.0
    processes: int = 1
    storage: Storage | None = None

    @property
    def location(self) -> Location:
        """The folder on its storage, for our own files in it."""
        location = locate(self.folder)
        return location if self.storage is None else replace(location, storage=self.storage)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a worker in another process, which opens the storage itself."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "storage"}
        return {**values, "folder": str(self.folder)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Context:
        """Return the context that `to_json` wrote."""
        location = locate(values["folder"])
        return cls(**{**values, "folder": location.native, "storage": location.storage})


TrialFn = Callable[[TrialConfig, Context], Iterator[Observation]]
