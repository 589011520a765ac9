"""The figures, one file each: our way beside the plain way, timed in turn in one run.

`crash` has no plain way beside it: it counts broken promises.

`BENCHES` names functions instead of importing them, so that `alpha` does not pay for Ray.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sweep.core.plugins import resolve


class Report(Protocol):
    """What a bench came to."""

    def to_json(self) -> str:
        """Return one JSON object."""

    def to_text(self) -> str:
        """Return lines for reading."""


BENCHES: dict[str, str] = {
    "alpha": "sweep.bench.alpha:run",
    "probe": "sweep.bench.probe:run",
    "train": "sweep.bench.train:run",
    "overhead": "sweep.bench.overhead:run",
    "query": "sweep.bench.query:run",
    "crash": "sweep.bench.crash:run",
    "scale": "sweep.bench.scale:run",
}


def load(name: str) -> Callable[..., Report]:
    """Return the bench of that name; raise `ConfigError`, with the names, where there is none."""
    where = resolve("The bench", name, BENCHES)
    nobody: dict[str, Callable[..., Report]] = {}
    return resolve("The bench", where, nobody)
