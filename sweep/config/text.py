"""Reads the text of a config into nested tables, and makes sentences from pydantic's errors."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from sweep.core.errors import ConfigError, nearest

MOST_LEVELS = 50
"""Levels of nested tables in a config."""
MOST_CHARACTERS = 400
"""Characters of a value in an error sentence."""

_LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){{{MOST_LEVELS}}}""")


def toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text; raise `ValueError` if it is wrong or nested too deep."""
    if _LONG_KEY.search(text):  # for such a key Python's parser needs much memory
        raise ValueError(f"a key has more than {MOST_LEVELS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_LEVELS} deep") from None


def unreasonable(tree: Mapping[str, Any]) -> str | None:
    """Return why nested tables cannot be a config (they cannot be printed or logged), or None."""
    level: list[Any] = [tree]
    for _ in range(MOST_LEVELS):
        inside = [
            list(value.values()) if isinstance(value, Mapping) else value
            for value in level
            if isinstance(value, Mapping | list | tuple)
        ]
        level = [item for items in inside for item in items]
        if any(isinstance(item, int) and abs(item) >= 2**63 for item in level):
            return "it holds a number of more than 64 bits"
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            return "it holds a number that is infinite or NaN"
        if not level:
            return None
    return f"it is nested more than {MOST_LEVELS} deep"


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """One `key.key=value` of the command line.

    Args:
        text: as typed.
        path: the keys from the outermost table inwards.
        value: a TOML value, or a bare word.
    """

    text: str
    path: tuple[str, ...]
    value: Any

    @classmethod
    def parse(cls, text: str, *, axis_fields: Collection[str]) -> Override:
        """Read an override; raise `ConfigError` if it is not `key=value`.

        Args:
            text: dots nest, except between double quotes. After `space.axes.` the rest is one
                name, dots included.
            axis_fields: fields of an axis, the only fields below its name.
        """
        dotted, equals, words = text.partition("=")
        if not equals or not dotted.strip():
            raise ConfigError(f"{text!r} is not key=value, for example train.epochs=5.")
        path = tuple(key.strip() for key in _split_key(dotted, axis_fields))
        value = value_of(words)
        if path[-2:] == ("data", "path") and not isinstance(value, str):
            value = words  # a folder may be named 2024, 1e3 or true
        return cls(text=text, path=path, value=value)

    def apply(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Return nested tables with the value set; the argument is not changed."""
        changed = dict(tree)
        level = changed
        for key in self.path[:-1]:
            below = level.get(key, {})
            if not isinstance(below, dict):
                raise ConfigError(f"{self.text!r}: {key!r} holds a value, not fields.")
            level[key] = dict(below)
            level = level[key]
        level[self.path[-1]] = self.value
        return changed


def value_of(words: str) -> Any:
    """Return the TOML value of a text, or the text itself: `0.1`, `true`, `knn`."""
    try:
        return toml(f"value = {words}")["value"]
    except ValueError:
        return words


def _split_key(dotted: str, axis_fields: Collection[str]) -> list[str]:
    axis = re.match(r'^\s*space\.axes\."?([^"]+?)"?\s*$', dotted)
    if axis and axis.group(1).split(".")[-1] not in axis_fields:
        return ["space", "axes", axis.group(1)]
    if '"' not in dotted:
        return dotted.split(".")
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^."]+)', dotted)]


def sentences(error: ValidationError, whole: type[BaseModel], axis: type[BaseModel]) -> list[str]:
    """Return a sentence for each of pydantic's faults, with the field's name as the user types it.

    Args:
        error: pydantic's, for a config.
        whole: the model of a config.
        axis: the model of one axis; its table is below a name that the user chooses.
    """
    lines = []
    for fault in error.errors(include_url=False):
        path = [str(part) for part in fault["loc"]]
        where = ".".join(part for part in path if not part.startswith(("list[", "Range")))
        if fault["type"] == "extra_forbidden":
            lines.append(_unknown_key(path, where, whole, axis))
        elif fault["type"] == "value_error":
            message = str(fault["ctx"]["error"])
            lines.append(f"{where}: {message}." if where else f"{message}.")
        else:
            lines.append(f"{where} is {_brief(fault['input'])}: {_lower(fault['msg'])}.")
    return list(dict.fromkeys(lines))


def _unknown_key(path: list[str], where: str, whole: type[BaseModel], axis: type[BaseModel]) -> str:
    model: Any = whole
    for part in path[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field else axis
    known = sorted(getattr(model, "model_fields", {}))
    return f"{where} is not a field.{nearest(path[-1], known)} Fields here: {', '.join(known)}."


def _brief(value: Any) -> str:
    """Return a value as Python writes it; the middle of a long text is left out."""
    text = repr(value)
    return (
        text
        if len(text) <= MOST_CHARACTERS
        else f"{text[: MOST_CHARACTERS // 2]}...{text[-MOST_CHARACTERS // 2 :]}"
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
