"""Members of a seam, ours and a user's own: looked up by name, and bound to their config keys.

A member is a factory `name(*, key=default) -> what the seam calls`. Its keyword-only parameters
are its config keys: their annotations are the types and ranges, their defaults the defaults, and
nothing else lists them. Some parameters are filled in by the study and are no keys: `seed` in
every seam, and what a seam adds to it.

A plug-in, `"package.module:name"`, may lie beside the config. That folder joins the import path
once a plug-in is named, and as its last entry. So a config that names no plug-in runs no code of
its folder, not even where a library tries an import that usually fails, and an installed module
is never hidden.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from sweep.core.errors import ConfigError, SweepError, in_a_line, nearest, unknown_name
from sweep.core.signatures import signature_of

T = TypeVar("T")

NO_SEED: Mapping[str, Any] = {"seed": 0}
"""What is filled in where no study is known: the seed 0."""

_FOLDERS: list[str] = []


def importable(folder: Path | str | None) -> None:
    """Note the config's folder as a folder that may hold plug-ins."""
    if folder is not None and str(folder) not in _FOLDERS:
        _FOLDERS.append(str(folder))


def folders() -> list[str]:
    """Return the noted folders, for another process of the same trial."""
    return list(_FOLDERS)


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
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{kind} {name!r}: {error}. Is its folder beside the config?") from error
    except Exception as error:  # whatever the module's own code raises
        raise ConfigError(f"{kind} {name!r} cannot be imported: {in_a_line(error)}.") from error
    try:
        member: T = getattr(module, attribute)
    except AttributeError as error:
        raise ConfigError(f"{kind} {name!r}: {module_name} has no {attribute!r}.") from error
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
        arguments: the keys' values as the factory takes them, and what the study fills in.
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
            ConfigError: the factory refuses its values with a `ValueError`, a plug-in raises, or
                what it makes cannot be called.
        """
        with self.guarded():
            made = self.factory(**self.arguments)
        if not callable(made):
            raise ConfigError(
                f"{self.kind} {self.name!r} made a {type(made).__name__}, which cannot be called. "
                "A member is a function of its config keys that returns what the study calls."
            )
        return made

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn an error of a plug-in's code, or a refused value, into a `ConfigError`."""
        try:
            yield
        except SweepError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.kind} {self.name!r}: {str(error).rstrip('.')}.") from error
        except Exception as error:  # whatever a plug-in raises
            if self.ours:
                raise
            raise ConfigError(f"{self.kind} {self.name!r} failed: {in_a_line(error)}.") from error


def bind(
    kind: str,
    name: str,
    table: Mapping[str, Callable[..., T]],
    keys: Mapping[str, Any],
    *,
    where: str,
    filled: Mapping[str, Any] = NO_SEED,
    common: Collection[str] = (),
) -> Bound[T]:
    """Check the keys of a member against its signature, and fill in its defaults.

    Args:
        kind: what is bound, for the sentences: `The encoder`.
        name: of a member of `table`, or `"package.module:name"`.
        table: the seam's own members.
        keys: as the config gives them.
        where: the config's table that holds the keys, for the sentences: `encoder`.
        filled: parameter -> value, for a member that has the parameter. The study fills it in, so
            it is no key.
        common: keys of that table which no member may declare.

    Raises:
        ConfigError: no such member, an unknown key, a wrong type, or a value out of range.
    """
    factory = resolve(kind, name, table)
    signature = signature_of(kind, name, factory, filled)
    known = signature.keys
    _check_known(keys, known, name, where)
    if taken := sorted(set(known) & set(common)):
        raise ConfigError(
            f"{kind} {name!r} has the parameter {taken[0]!r}, and {where}.{taken[0]} is a key of "
            "its own. Give the parameter another name."
        )
    try:
        values = signature.model.model_validate(dict(keys))
    except ValidationError as error:
        names = {field: key for key, field in known.items()}
        faults = [_fault(where, fault, names) for fault in error.errors()]
        raise ConfigError(" ".join(faults)) from error
    arguments = {key: getattr(values, field) for key, field in known.items()}
    arguments |= {name: filled[name] for name in signature.filled}
    return Bound(
        kind=kind,
        name=name,
        keys=_as_json(values, where),
        factory=factory,
        arguments=arguments,
        ours=name in table,
    )


def keys_of(
    kind: str,
    name: str,
    table: Mapping[str, Callable[..., Any]],
    filled: Collection[str] = NO_SEED,
) -> frozenset[str]:
    """Return the keys that a member declares; raise `ConfigError`. Arguments as for `bind`."""
    return frozenset(signature_of(kind, name, resolve(kind, name, table), filled).keys)


def filled_in(
    kind: str,
    name: str,
    table: Mapping[str, Callable[..., Any]],
    keys: Mapping[str, Any],
    *,
    where: str,
) -> dict[str, Any]:
    """Return the given keys, and the defaults of the member's other keys, as JSON.

    The arguments are those of `bind`. Values are not checked, and a required key may be missing,
    because an axis may give it.

    Raises:
        ConfigError: no such member, or an unknown key.
    """
    signature = signature_of(kind, name, resolve(kind, name, table), NO_SEED)
    _check_known(keys, signature.keys, name, where)
    fields = signature.model.model_fields
    given = {f: v.get_default(call_default_factory=True) for f, v in fields.items()}
    optional = {field for field, value in fields.items() if not value.is_required()}
    values = signature.model.model_construct(**given)
    return {**_as_json(values, where, include=optional), **keys}


def _check_known(keys: Collection[str], known: Collection[str], name: str, where: str) -> None:
    """Raise `ConfigError` for a key that a member does not have."""
    if unknown := sorted(set(keys) - set(known)):
        first = unknown[0]
        listed = f"Keys of {name}: {', '.join(sorted(known))}." if known else f"{name} has no keys."
        raise ConfigError(f"{where}.{first} is no key of {name}.{nearest(first, known)} {listed}")


def _as_json(
    values: BaseModel, where: str, *, include: Collection[str] | None = None
) -> dict[str, Any]:
    """Return a member's keys as JSON; raise `ConfigError` for a value that JSON lacks."""
    kept = None if include is None else set(include)
    try:
        keys = values.model_dump(mode="json", by_alias=True, include=kept)
        json.dumps(keys, allow_nan=False)
    except PydanticSerializationError as error:
        raise ConfigError(f"{where} holds a value that no config can hold: {error}.") from error
    except ValueError as error:
        raise ConfigError(f"{where} holds a number that is infinite or NaN.") from error
    return keys


def _fault(where: str, fault: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the sentence for a fault; one of a default is told under the field's name."""
    key = ".".join([where, *(names.get(str(part), str(part)) for part in fault["loc"])])
    if fault["type"] == "missing":
        return f"{key} is missing."
    given, reason = fault["input"], str(fault["msg"])
    return f"{key} is {given!r:.200}: {reason[:1].lower()}{reason[1:]}."


def import_library(name: str) -> None:
    """Import a library by its name, only to see whether that works; raise what it raises."""
    importlib.import_module(name)
