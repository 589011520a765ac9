"""Binds a candidate's members: checks every key, and fills in every default.

A `trial_id` is made from the bound keys, so a key that a member does not have cannot change it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from sweep import criteria, datasets, encoders, methods, probes
from sweep.config.models import CriteriaConfig, DataConfig, EncoderConfig, MethodConfig, ProbeConfig
from sweep.config.space import Bind
from sweep.config.study import TrialConfig
from sweep.datasets.image_files import image_files
from sweep.datasets.reading.reader import READING

M = TypeVar("M", bound=BaseModel)


def bind_trial(config: TrialConfig) -> TrialConfig:
    """Return the candidate with all keys of its members.

    Raises:
        ConfigError: no such member, or a key or value that it does not take.
        DataError: `data.path` holds no known data set, or cannot be read.
    """
    return binder()(config)


def binder() -> Bind:
    """Return a `bind_trial` for many candidates, which binds a member that they share only once."""
    data = _once(bind_data)
    encoder, method = _once(_bind_encoder), _once(_bind_method)
    criteria, probe = _once(bind_criteria), _once(bind_probe)

    def bind(config: TrialConfig) -> TrialConfig:
        return config.model_copy(
            update={
                "data": data(config.data),
                "encoder": encoder(config.encoder),
                "method": method(config.method),
                "criteria": criteria(config.criteria),
                "probe": probe(config.probe),
            }
        )

    return bind


def bind_data(config: DataConfig, *, where: str = "data") -> DataConfig:
    """Return the data's config with all keys of its data set, and the version of its reading."""
    bound = datasets.bind(config, where=where)
    reading = config.reading
    if bound.factory is image_files:
        reading = READING
    named = config.model_copy(update={"name": bound.name, "reading": reading})
    return named.with_parameters(bound.keys)


def bind_criteria(config: CriteriaConfig) -> CriteriaConfig:
    """Return the config of the criteria with all their keys."""
    bound = criteria.bind(config)
    return config.with_parameters(
        {member.name: dict(member.keys) for member in bound if member.keys}
    )


def bind_probe(config: ProbeConfig) -> ProbeConfig:
    """Return the probe's config with all keys of the probe, and of its own data set."""
    data = None if config.data is None else bind_data(config.data, where="probe.data")
    keys = probes.bind(config).keys
    return config.model_copy(update={"data": data}).with_parameters(keys)


def _bind_encoder(config: EncoderConfig) -> EncoderConfig:
    return config.with_parameters(encoders.bind(config).keys)


def _bind_method(config: MethodConfig) -> MethodConfig:
    return config.with_parameters(methods.bind(config).keys)


def _once(bind: Callable[[M], M]) -> Callable[[M], M]:
    """Return a function that calls `bind` once for each config, and remembers the result."""
    bound: dict[str, M] = {}

    def remembered(config: M) -> M:
        key = config.model_dump_json()
        if key not in bound:
            bound[key] = bind(config)
        return bound[key]

    return remembered
