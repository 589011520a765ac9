"""Look a name up in a seam's table, or import `"package.module:name"`.

The folder of the config is put on the import path by the command line and by each
worker, so a plug-in may lie beside the config.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from sweep.errors import ConfigError, unknown_name

T = TypeVar("T")


def importable(folder: Path | str | None) -> None:
    """Put the config's folder on the import path, last, so that it hides nothing."""
    if folder is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))


def resolve(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Return `table[name]`, or what `"package.module:attribute"` names.

    Args:
        kind: what is looked up, for the sentence: `The encoder`.
        name: as the config gives it.
        table: the seam's own members.

    Raises:
        ConfigError: no such member, module or attribute.
    """
    if name in table:
        return table[name]
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(
            unknown_name(kind, name, table) + ' Your own is named "package.module:name".'
        )
    try:
        found: T = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise ConfigError(f"{kind} {name!r}: {error}. Is its folder beside the config?") from error
    except AttributeError as error:
        raise ConfigError(f"{kind} {name!r}: {module_name} has no {attribute!r}.") from error
    return found
