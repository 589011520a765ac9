"""Probes: fit labels to frozen features of the training part, score on the validation part.

Members are deterministic, keep no state, never see the test part, and return a
numerical failure as a status. To add one: a function of `ProbeConfig` that returns the
probe, and a line in `PROBES`.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.config.models import ProbeConfig
from sweep.probes import knn, linear
from sweep.probes.labelled import Fitted, Labelled

__all__ = ["PROBES", "Fitted", "Labelled", "Probe"]

Probe = Callable[[Labelled, Labelled], Fitted]

PROBES: dict[str, Callable[[ProbeConfig], Probe]] = {
    "linear": linear.make,
    "knn": knn.make,
}
