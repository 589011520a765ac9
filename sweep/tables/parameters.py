"""The columns of the table `trials` that differ between studies, and their names.

These are the fields in which the candidates differ, and every parameter of the method. They come
between the columns `index` and `seed`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.config.models import SHORT

Config = Mapping[str, Any]

_FIELD = {field: short for short, field in SHORT.items()}


def part(config: Config, name: str) -> Config:
    """Return a table of a config, or an empty one if a damaged log has another value there."""
    table = config.get(name)
    return table if isinstance(table, dict) else {}


def own_code(config: Config) -> bool:
    """Return whether a config is of the user's own training code.

    Such a config also holds the defaults of the built-in model, which say nothing about it.
    """
    return bool(config.get("trial", "pretrain") != "pretrain")


def method(config: Config) -> Config:
    """Return the method's table in a candidate's config: its `name` and its parameters."""
    return {} if own_code(config) else part(config, "method")


def method_parameters(config: Config) -> dict[str, Any]:
    """Return the method's parameters that are numbers, texts or truth values, or not set."""
    return {
        name: value
        for name, value in method(config).items()
        if name != "name" and (value is None or isinstance(value, bool | int | float | str))
    }


def column(name: str) -> str:
    """Return the column of a field or measure: short, and a word in SQL.

    `train.lr` is `lr`, `method.d` is `d`, `encoder.name` is `encoder`, `augment.crop_min` is
    `augment_crop_min`; `lambda`, which SQL reserves, is `lambd`.
    """
    name = _FIELD.get(name, name).removesuffix(".name").removeprefix("method.")
    return "lambd" if name == "lambda" else re.sub(r"\W", "_", name) or "_"


def between(names: Sequence[str]) -> list[str]:
    """Return the columns of `trials` that differ between studies."""
    return list(names[names.index("index") + 1 : names.index("seed")])
