"""A candidate's members bound: every key checked, and every default filled in.

What enters a `trial_id` is what is bound here, so a key that a member does not have cannot
change it.
"""

from __future__ import annotations

from sweep import criteria, datasets, encoders, methods, probes
from sweep.config.models import DataConfig, TrialConfig


def bind_trial(config: TrialConfig) -> TrialConfig:
    """Return the candidate with all keys of its members.

    Raises:
        ConfigError: no such member, or a key or value that it does not take.
        DataError: nothing known lies at `data.path`, or the path cannot be read.
    """
    keys = {bound.name: dict(bound.keys) for bound in criteria.bind(config.criteria) if bound.keys}
    probe = config.probe
    if probe.data is not None:
        probe = probe.model_copy(update={"data": bind_data(probe.data)})
    return config.model_copy(
        update={
            "data": bind_data(config.data),
            "encoder": config.encoder.with_parameters(encoders.bind(config.encoder).keys),
            "method": config.method.with_parameters(methods.bind(config.method).keys),
            "criteria": config.criteria.with_parameters(keys),
            "probe": probe.with_parameters(probes.bind(config.probe).keys),
        }
    )


def bind_data(config: DataConfig) -> DataConfig:
    """Return the data's config with all keys of its data set."""
    bound = datasets.bind(config)
    return config.model_copy(update={"name": bound.name}).with_parameters(bound.keys)
