"""Look a name up in a seam's table, or import `"package.module:name"`.

A plug-in may lie beside the config. That folder comes on the import path once a plug-in is
named, and last: a config that names none runs no code of its folder, not even where some
library tries an import that usually fails, and what is installed is never hidden.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sweep.core.errors import ConfigError, SweepError, unknown_name

T = TypeVar("T")

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
        found: T = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise ConfigError(f"{kind} {name!r}: {error}. Is its folder beside the config?") from error
    except AttributeError as error:
        raise ConfigError(f"{kind} {name!r}: {module_name} has no {attribute!r}.") from error
    except Exception as error:  # whatever the module's own code raises
        raise ConfigError(f"{kind} {name!r} cannot be imported: {_what(error)}.") from error
    if not callable(found):
        raise ConfigError(f"{kind} {name!r} is a {type(found).__name__}, and cannot be called.")
    return found


@contextmanager
def member(kind: str, name: str, table: Mapping[str, T]) -> Iterator[T]:
    """Yield what `resolve` finds; what a plug-in raises within becomes a sentence.

    Raises:
        ConfigError: as `resolve`; or a plug-in raised something.
    """
    found = resolve(kind, name, table)
    try:
        yield found
    except SweepError:
        raise
    except Exception as error:  # whatever a plug-in raises
        if name in table:
            raise
        raise ConfigError(f"{kind} {name!r} failed: {_what(error)}.") from error


def import_library(name: str) -> None:
    """Import a library by its name, only to see whether that works; raise what it raises."""
    importlib.import_module(name)


def _what(error: Exception) -> str:
    """Return an error in one line, with the place where it was raised."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"
