"""Members of a seam, ours and a user's own: looked up by name, and bound to their config keys.

A member is a factory `name(*, key=default) -> what the seam calls`. Its keyword-only parameters
are its config keys: their annotations are the types and ranges, their defaults the defaults, and
nothing else lists them. A parameter `seed` is filled from the study and is no key.

A plug-in, `"package.module:name"`, may lie beside the config. That folder joins the import path
once a plug-in is named, and as its last entry. So a config that names no plug-in runs no code of
its folder, not even where a library tries an import that usually fails, and an installed module
is never hidden.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model

from sweep.core.errors import ConfigError, SweepError, nearest, unknown_name

T = TypeVar("T")

SEED = "seed"
"""The parameter that the study fills in."""

_FOLDERS: list[str] = []


def importable(folder: Path | str | None) -> None:
    """Note the config's folder as one in which plug-ins may lie."""
    if folder is not None and str(folder) not in _FOLDERS:
        _FOLDERS.append(str(folder))


def resolve(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Return `table[name]`, or what `"package.module:attribute"` names.

    Args:
        kind: what is looked up, for the sentence: `The encoder`.
        name: as the config gives it.
        table: the seam's own members.

    Raises:
        ConfigError: no such member, module or attribute, or nothing that can be called.
    """
    if name in table:
        return table[name]
    module_name, colon, attribute = name.partition(":")
    if not colon or not all(module_name.split(".")):
        raise ConfigError(
            unknown_name(kind, name, table) + ' Your own is named "package.module:name".'
        )
    sys.path += [folder for folder in _FOLDERS if folder not in sys.path]
    try:
        member: T = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise ConfigError(f"{kind} {name!r}: {error}. Is its folder beside the config?") from error
    except AttributeError as error:
        raise ConfigError(f"{kind} {name!r}: {module_name} has no {attribute!r}.") from error
    except Exception as error:  # whatever the module's own code raises
        raise ConfigError(f"{kind} {name!r} cannot be imported: {_in_a_line(error)}.") from error
    if not callable(member):
        raise ConfigError(f"{kind} {name!r} is a {type(member).__name__}, and cannot be called.")
    return member


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound(Generic[T]):
    """A member with a value for each of its keys.

    Args:
        kind: what it is, for sentences: `The encoder`.
        name: as the config gives it.
        keys: every key of the member with its value, as JSON; what the log keeps.
        factory: the member.
        arguments: the keys' values as the factory takes them, `seed` included.
        ours: whether the member is one of the package's.
    """

    kind: str
    name: str
    keys: Mapping[str, Any]
    factory: Callable[..., T]
    arguments: Mapping[str, Any]
    ours: bool

    def make(self) -> T:
        """Return what the factory makes.

        Raises:
            ConfigError: the factory refuses its values with a `ValueError`, or a plug-in raises.
        """
        with self.guarded():
            return self.factory(**self.arguments)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn an error of a plug-in's code, or a refused value, into a `ConfigError`."""
        try:
            yield
        except SweepError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.kind} {self.name!r}: {error}") from error
        except Exception as error:  # whatever a plug-in raises
            if self.ours:
                raise
            raise ConfigError(f"{self.kind} {self.name!r} failed: {_in_a_line(error)}.") from error


def bind(
    kind: str,
    name: str,
    table: Mapping[str, Callable[..., T]],
    keys: Mapping[str, Any],
    *,
    where: str,
    seed: int = 0,
) -> Bound[T]:
    """Check the keys of a member against its signature, and fill in its defaults.

    Args:
        kind: what is bound, for the sentences: `The encoder`.
        name: of a member of `table`, or `"package.module:name"`.
        table: the seam's own members.
        keys: as the config gives them.
        where: the config's table that holds the keys, for the sentences: `encoder`.
        seed: of the study, for a member that has a parameter `seed`.

    Raises:
        ConfigError: no such member, an unknown key, a wrong type, or a value out of range.
    """
    factory = resolve(kind, name, table)
    model = _model(kind, name, factory)
    known = sorted(model.model_fields)
    if unknown := sorted(set(keys) - set(known)):
        first = unknown[0]
        listed = f"Keys of {name}: {', '.join(known)}." if known else f"{name} has no keys."
        raise ConfigError(f"{where}.{first} is no key of {name}.{nearest(first, known)} {listed}")
    try:
        values = model(**keys)
    except ValidationError as error:
        raise ConfigError(" ".join(_fault(where, one) for one in error.errors())) from error
    arguments = {key: getattr(values, key) for key in known}
    if SEED in inspect.signature(factory).parameters:
        arguments[SEED] = seed
    return Bound(
        kind=kind,
        name=name,
        keys=values.model_dump(mode="json"),
        factory=factory,
        arguments=arguments,
        ours=name in table,
    )


def defaults(kind: str, name: str, table: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Return the keys of a member that have a default, with it, as JSON."""
    model = _model(kind, name, resolve(kind, name, table))
    given = {k: f.get_default() for k, f in model.model_fields.items() if not f.is_required()}
    return model.model_construct(**given).model_dump(mode="json", include=set(given))


@functools.cache
def _model(kind: str, name: str, factory: Callable[..., Any]) -> type[BaseModel]:
    """Return the model whose fields are the factory's keyword-only parameters."""
    try:
        parameters = inspect.signature(factory).parameters
        for parameter in parameters.values():
            if parameter.kind is not parameter.KEYWORD_ONLY:
                raise ConfigError(
                    f"{kind} {name!r} has the parameter {parameter.name!r}, which is not "
                    "keyword-only. A member is a function of its config keys: "
                    f"def {name.rpartition(':')[2]}(*, key=default)."
                )
        types = _types(factory, parameters)
        fields: dict[str, Any] = {
            key: (types[key], ... if parameter.default is parameter.empty else parameter.default)
            for key, parameter in parameters.items()
            if key != SEED
        }
        return create_model(name, __config__=_STRICT, **fields)
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{kind} {name!r} has a signature that cannot be read: {_in_a_line(error)}."
        ) from error


def _types(
    factory: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """Return the types of the parameters, `Any` where there is no annotation."""
    given = {
        key: Any if parameter.annotation is parameter.empty else parameter.annotation
        for key, parameter in parameters.items()
    }
    holder = type("holder", (), {"__annotations__": given})
    module = sys.modules.get(factory.__module__)
    return typing.get_type_hints(holder, globalns=vars(module or typing), include_extras=True)


_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


def _fault(where: str, fault: Mapping[str, Any]) -> str:
    key = ".".join([where, *map(str, fault["loc"])])
    if fault["type"] == "missing":
        return f"{key} is missing."
    given, reason = fault["input"], str(fault["msg"])
    return f"{key} is {given!r:.200}: {reason[:1].lower()}{reason[1:]}."


def _in_a_line(error: Exception) -> str:
    """Return an error in one line, with the place where it was raised."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"
