"""Probes: fit labels to frozen features of the training part, score on the validation part.

A member is a factory `name(*, key=default)` that returns the probe. A probe is deterministic, keeps
no state, never gets the test part, and returns a numerical failure as a status. Imports `core`
and `config`. To add a probe: a file here, and a line in `PROBES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config.models import ProbeConfig
from sweep.core import plugins
from sweep.probes.knn import knn
from sweep.probes.labelled import Fitted, Labelled
from sweep.probes.linear import linear

__all__ = ["PROBES", "Fitted", "Labelled", "Probe", "bind"]

Probe = Callable[[Labelled, Labelled], Fitted]

PROBES: Mapping[str, Callable[..., Probe]] = {
    "linear": linear,
    "knn": knn,
}


def bind(config: ProbeConfig, *, seed: int = 0) -> plugins.Bound[Probe]:
    """Return the probe that a config names, its keys checked.

    Args:
        config: the name and the keys.
        seed: of the trial, for a probe that has a parameter `seed`.

    Raises:
        ConfigError: no such probe, or a key or value that it does not take.
    """
    return plugins.bind(
        "The probe",
        config.name,
        PROBES,
        config.parameters,
        where="probe",
        filled={"seed": seed},
        common=ProbeConfig.model_fields,
    )
