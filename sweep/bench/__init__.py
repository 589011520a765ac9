"""The project's figures. Each bench times our way and the plain way in turn, in one run.

There are two exceptions. `crash` breaks a running study on purpose and counts broken promises.
`gpu` measures all that only a GPU can answer, in one command.
Imports all rooms below except `doctor`. To add a bench: a file here with a function `run`, and its
case in `load`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sweep.core.errors import ConfigError, unknown_name


class Report(Protocol):
    """The result of a bench."""

    def to_json(self) -> str:
        """Return one JSON object."""

    def to_text(self) -> str:
        """Return lines for reading."""


Bench = Callable[..., Report]
"""Takes its options by keyword."""

BENCHES = ("train", "alpha", "probe", "overhead", "query", "crash", "scale", "gpu", "data")


def load(name: str) -> Bench:
    """Import one bench, and no other: `alpha` does not wait until Ray is imported.

    Raises:
        ConfigError: no bench has this name. The sentence lists the names.
    """
    match name:
        case "train":
            from sweep.bench import train

            return train.run
        case "alpha":
            from sweep.bench import alpha

            return alpha.run
        case "probe":
            from sweep.bench import probe

            return probe.run
        case "overhead":
            from sweep.bench import overhead

            return overhead.run
        case "query":
            from sweep.bench import query

            return query.run
        case "crash":
            from sweep.bench import crash

            return crash.run
        case "scale":
            from sweep.bench import scale

            return scale.run
        case "gpu":
            from sweep.bench import gpu

            return gpu.run
        case "data":
            from sweep.bench import data

            return data.run
    raise ConfigError(unknown_name("The bench", name, BENCHES))
