"""The keys that a factory declares, read from its keyword-only parameters."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from sweep.core.errors import ConfigError, in_a_line


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What a factory declares.

    Args:
        model: its fields check the keys; each has a key as its alias, because a key may be named
            as an attribute of a model is: `copy`, `json`.
        keys: key -> field of the model.
        filled: the factory's parameters that the study fills in; they are no keys.
    """

    model: type[BaseModel]
    keys: Mapping[str, str]
    filled: frozenset[str]


_SIGNATURES: dict[tuple[str, int, frozenset[str]], tuple[Callable[..., Any], Signature]] = {}
"""(name, id of a factory, names that the study fills in) -> the factory and its signature. The
factory is kept, so that no other object gets its id."""


def signature_of(
    kind: str, name: str, factory: Callable[..., Any], filled: Collection[str]
) -> Signature:
    """Return what a factory declares; each factory is read once.

    Args:
        kind, name: for the sentences.
        factory: of a member.
        filled: names of the parameters that the study fills in, if the factory has them.

    Raises:
        ConfigError: a parameter that is not keyword-only, or an annotation that cannot be read.
    """
    place = (name, id(factory), frozenset(filled))
    if place not in _SIGNATURES:
        try:
            _SIGNATURES[place] = (factory, _read(kind, name, factory, filled))
        except ConfigError:
            raise
        except Exception as error:  # whatever a plug-in's annotations raise
            raise ConfigError(
                f"{kind} {name!r} has a signature that cannot be read: {in_a_line(error)}."
            ) from error
    return _SIGNATURES[place][1]


def _read(kind: str, name: str, factory: Callable[..., Any], filled: Collection[str]) -> Signature:
    """Return the model whose fields are the factory's keyword-only parameters."""
    parameters = inspect.signature(factory).parameters
    for parameter in parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            raise ConfigError(
                f"{kind} {name!r} has the parameter {parameter.name!r}, which is not "
                "keyword-only. A member is a function of its config keys: "
                f"def {name.rpartition(':')[2]}(*, key=default)."
            )
    types = _types(factory, parameters)
    given = [key for key in parameters if key not in filled]
    keys = {key: f"key_{number}" for number, key in enumerate(given)}
    fields: dict[str, Any] = {
        field: (types[key], _default(factory, parameters[key])) for key, field in keys.items()
    }
    model = create_model(name, __config__=_STRICT, **fields)
    return Signature(model=model, keys=keys, filled=frozenset(parameters).intersection(filled))


def _default(factory: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return the field of a parameter: its alias, and its default if there is one."""
    if parameter.default is parameter.empty:
        return Field(alias=parameter.name)
    if dataclasses.is_dataclass(factory):
        for field in dataclasses.fields(factory):
            if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
                return Field(alias=parameter.name, default_factory=field.default_factory)
    return Field(alias=parameter.name, default=parameter.default)


def _types(
    factory: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """Return the types of the parameters, `Any` where there is no annotation.

    The annotation of an inherited field is resolved in the module of the class that declares it.
    """
    inherited: dict[str, Any] = {}
    if dataclasses.is_dataclass(factory):
        inherited = typing.get_type_hints(factory, include_extras=True)
    given = {
        key: Any if parameter.annotation is parameter.empty else parameter.annotation
        for key, parameter in parameters.items()
        if key not in inherited
    }
    while isinstance(factory, functools.partial):
        factory = factory.func
    holder = type("holder", (), {"__annotations__": given})
    module = sys.modules.get(factory.__module__)
    own = typing.get_type_hints(holder, globalns=vars(module or typing), include_extras=True)
    return {**inherited, **own}


_STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    allow_inf_nan=False,
    ser_json_inf_nan="constants",
    validate_default=True,
)
