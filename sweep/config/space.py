"""Makes candidates from the axes of a space, in the study's order.

A candidate has a complete `TrialConfig` and the few fields in which candidates differ. The order is
random and follows from the study's seed: the authors' rule takes its rounds from it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from sweep.config.models import SHORT, Range, SpaceConfig
from sweep.config.study import StudyConfig, TrialConfig
from sweep.core.errors import ConfigError, unknown_name
from sweep.core.limits import LARGEST

Point = dict[str, int | float | str | bool]

MOST_CANDIDATES = 1_000_000
"""Largest number of candidates of a space."""

Bind = Callable[[TrialConfig], TrialConfig]
"""Checks the keys of a candidate's members, and fills in their defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One point of the space.

    Args:
        trial_id: digest of what changes the weights.
        point: the varied fields, by the user's names, with `lambd` in place of `lambd_d`.
        config: the complete config.
    """

    trial_id: str
    point: Point
    config: TrialConfig


def candidates(study: StudyConfig, data_digest: str, bind: Bind) -> list[Candidate]:
    """Return every candidate once, in the study's random order.

    Args:
        study: the config, with `space` and `seed`.
        data_digest: of the images, part of each `trial_id`.
        bind: fills in the keys of a candidate's members.

    Raises:
        ConfigError: an axis is not a field, a value is not allowed, or there are more than
            `MOST_CANDIDATES` candidates.
    """
    _check_size(study.space)
    given = [study.space.axes.keys(), *(point.keys() for point in study.space.points)]
    for name in sorted(set().union(*given)):
        _check_axis(name)
    if any({"lambd", "lambd_d"} <= names for names in given):
        raise ConfigError("space.axes has lambd and lambd_d; keep one: lambd_d is lambd times d.")
    unique: dict[str, Candidate] = {}
    for point in _points(study):
        candidate = _candidate(study, point, data_digest, bind)
        unique.setdefault(candidate.trial_id, candidate)
    ordered = sorted(unique.values(), key=lambda c: c.trial_id)
    order = np.random.default_rng([study.seed, 0x0FDE]).permutation(len(ordered))
    return [ordered[i] for i in order]


def _check_size(space: SpaceConfig) -> None:
    lengths = [(a.points or 1) if isinstance(a, Range) else len(a) for a in space.axes.values()]
    count = math.prod(lengths) if space.draw == "grid" else space.count or 0
    if count > MOST_CANDIDATES:
        raise ConfigError(
            f"The space has {count:,} candidates, and the limit is {MOST_CANDIDATES:,}. Shorten "
            'its axes, or set draw = "random" and a count.'
        )


def _check_axis(name: str) -> None:
    """Raise `ConfigError` if a name is not a field; a member's keys are checked when bound."""
    known = {*SHORT, "seed", "lambd_d"}
    head, _, tail = SHORT.get(name, name).partition(".")
    if name in known or (head in ("options", "method", "encoder") and tail):
        return
    if head in ("augment", "train") and tail:
        fields = StudyConfig.model_fields[head].annotation.model_fields  # type: ignore[union-attr]
        if name == "augment.preset":
            raise ConfigError(
                "augment.preset is no axis, because the keys that it sets have one value in the "
                "whole space. Vary those keys: augment.crop_min, augment.rotate, ..."
            )
        if tail.split(".")[0] in fields:
            return
        known |= {f"{head}.{field}" for field in fields}
    known |= {"method.KEY", "encoder.KEY"}
    raise ConfigError(unknown_name("The axis", name, known))


def _points(study: StudyConfig) -> Iterator[Point]:
    axes = study.space.axes
    if study.space.points:
        yield from study.space.points
        return
    if study.space.draw == "grid":
        values = [_grid(name, axis) for name, axis in axes.items()]
        for combination in itertools.product(*values):
            yield dict(zip(axes, combination, strict=True))
        return
    rng = np.random.default_rng([study.seed, 0x5A3E])
    for _ in range(study.space.count or 0):
        yield {name: _draw(axis, rng) for name, axis in axes.items()}


def _grid(name: str, axis: list[Any] | Range) -> list[Any]:
    if not isinstance(axis, Range):
        return axis
    if axis.points is None:
        raise ConfigError(f"space.axes.{name}: a range in a grid needs points, for example 8.")
    if axis.log:
        steps = np.geomspace(axis.low, axis.high, axis.points)
    else:
        steps = np.linspace(axis.low, axis.high, axis.points)
    return [_typed(axis, float(value)) for value in steps]


def _draw(axis: list[Any] | Range, rng: np.random.Generator) -> Any:
    if not isinstance(axis, Range):
        return axis[int(rng.integers(len(axis)))]
    if axis.log:
        value = math.exp(rng.uniform(math.log(axis.low), math.log(axis.high)))
    else:
        value = rng.uniform(axis.low, axis.high)
    return _typed(axis, min(max(value, axis.low), axis.high))


def _typed(axis: Range, value: float) -> int | float:
    return round(value) if axis.integer else float(f"{value:.6g}")


def _candidate(study: StudyConfig, point: Point, data_digest: str, bind: Bind) -> Candidate:
    resolved = dict(point)
    try:
        if "lambd_d" in resolved:
            resolved["lambd"] = _lambd(study, resolved, bind)
            del resolved["lambd_d"]
        config = bind(TrialConfig.model_validate(_tree(study, resolved)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(_impossible(point, f"{field}: {first['msg']}.")) from error
    except ConfigError as error:
        raise ConfigError(_impossible(point, str(error))) from error
    return Candidate(trial_id=config.trial_id(data_digest), point=resolved, config=config)


def _impossible(point: Point, reason: str) -> str:
    return f"The space holds an impossible candidate {point}: {reason}" if point else reason


def _tree(study: StudyConfig, point: Point) -> dict[str, Any]:
    """Return the config of one candidate as nested tables.

    Keys of `[method]` or `[encoder]` belong to the member named there: a point that names
    another member starts without them.
    """
    tree: dict[str, Any] = study.model_dump(include=set(TrialConfig.model_fields))
    tree["labels"] = study.budget.labels
    for section in ("method", "encoder"):
        name = point.get(f"{section}.name")
        if name is not None and name != tree[section]["name"]:
            tree[section] = {"name": name}
    for name, value in point.items():
        if isinstance(value, int | float) and abs(value) >= LARGEST:
            raise ConfigError(f"The space holds {name} = {value:g}, beyond {LARGEST:g}.")
        level = tree
        *heads, last = SHORT.get(name, name).split(".")
        for head in heads:
            level = level.setdefault(head, {})
            if not isinstance(level, dict):
                raise ConfigError(f"The axis {name!r}: {head} holds a value, not fields.")
        level[last] = value
    return tree


def _lambd(study: StudyConfig, point: Point, bind: Bind) -> float:
    """Return lambda from a point's lambda times d; d is the point's or the method's."""
    d: Any = point.get("d", point.get("method.d"))
    if d is None:
        rest = {name: value for name, value in point.items() if name != "lambd_d"}
        d = bind(TrialConfig.model_validate(_tree(study, rest))).method.parameters.get("d")
    return float(f"{_number(point['lambd_d']) / _number(d):.6g}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigError(f"lambd_d needs numbers above 0 for itself and for d, not {value!r}.")
    return float(value)
