"""What a config's text says, before any model of it, and sentences about what is wrong with it."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from sweep.core.errors import ConfigError, nearest

DEEPEST = 50
LONGEST = 400
"""Levels of a config, and characters of a value in a sentence about it."""

_LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){{{DEEPEST}}}""")


def toml(text: str) -> dict[str, Any]:
    """Return what TOML says; raise `ValueError` where it says nothing that could be meant."""
    if _LONG_KEY.search(text):  # of whose parts Python's parser keeps every beginning
        raise ValueError(f"a key has more than {DEEPEST} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None


def unreasonable(tree: Mapping[str, Any]) -> str | None:
    """Return why no config can be like this, or None: it could not even be shown, or logged."""
    level: list[Any] = [tree]
    for _ in range(DEEPEST):
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
    return f"it is nested more than {DEEPEST} deep"


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """One `key.key=value` of the command line.

    Args:
        text: as typed.
        path: the keys from the outermost table inwards.
        value: what TOML reads there, or a bare word.
    """

    text: str
    path: tuple[str, ...]
    value: Any

    @classmethod
    def parse(cls, text: str, *, axis_fields: Collection[str]) -> Override:
        """Read an override; raise `ConfigError` where it is not `key=value`.

        Args:
            text: dots nest, except between double quotes; what follows `space.axes` is one name,
                dots and all.
            axis_fields: fields of an axis, the only ones below its name.
        """
        dotted, equals, words = text.partition("=")
        if not equals or not dotted.strip():
            raise ConfigError(f"{text!r} is not key=value, for example train.epochs=5.")
        path = tuple(key.strip() for key in _split_key(dotted, axis_fields))
        return cls(text=text, path=path, value=value_of(words))

    def apply(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Return nested tables with the value set; the argument is left as it was."""
        out = dict(tree)
        level = out
        for key in self.path[:-1]:
            below = level.get(key, {})
            if not isinstance(below, dict):
                raise ConfigError(f"{self.text!r}: {key!r} holds a value, not fields.")
            level[key] = dict(below)
            level = level[key]
        level[self.path[-1]] = self.value
        return out


def value_of(words: str) -> Any:
    """Return what TOML reads in some words, or the words themselves: `0.1`, `true`, `knn`."""
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
    """Turn pydantic's faults into sentences that name the field as the user typed it.

    Args:
        error: of validating a config.
        whole: the model of a config.
        axis: the model of one axis, which stands below names of the user's choice.
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
    """Return a value as Python writes it, the middle left out where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
