"""The figures, one file each: our way beside the plain way, timed in turn in one run.

`BENCHES` names functions instead of importing them, so that `alpha` does not pay for Ray.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.bench.timing import Figure
from sweep.plugins import resolve

BENCHES: dict[str, str] = {
    "alpha": "sweep.bench.alpha:run",
    "probe": "sweep.bench.probe:run",
    "train": "sweep.bench.train:run",
    "overhead": "sweep.bench.overhead:run",
    "query": "sweep.bench.query:run",
}


def load(name: str) -> Callable[..., Figure]:
    """Return the bench of that name; raise `ConfigError`, with the names, where there is none."""
    where = resolve("The bench", name, BENCHES)
    nobody: dict[str, Callable[..., Figure]] = {}
    return resolve("The bench", where, nobody)
