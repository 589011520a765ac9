"""Which earlier studies a rule learns from, chosen for the candidates of a new study or a replay.

A source is used if it shares a varied number with the new candidates, was trained by the same
method, and has two candidates with accuracies. Of a source only the shared axes are kept, under the
names that the new study gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sweep.core.errors import ConfigError, DataError, unknown_name
from sweep.core.history import Floats
from sweep.prediction.earlier import Source
from sweep.prediction.prior_file import of_bytes, shipped, to_bytes
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_rows import is_number
from sweep.replay.sources import ASSUMED_METHOD, of_landscape, read, shares_trials
from sweep.tables.parameters import column

SHIPPED, NONE = "shipped", "none"
"""Words of `rule.prior` that are no addresses."""

Given = str | Sequence[str]
"""A value of `rule.prior`."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The candidates that a prior is for.

    Args:
        points: the varied fields of each of H candidates.
        method: by which they are trained; "" if unknown, None if several.
        d: of all candidates, where it does not vary and is known.
    """

    points: Sequence[Mapping[str, Any]]
    method: str | None
    d: float | None = None

    @classmethod
    def of_landscape(cls, landscape: Landscape) -> Target:
        """Return the candidates of a table."""
        points = [candidate.point for candidate in landscape.candidates]
        methods = {found.source.method for found in of_landscape(landscape)}
        return cls(points=points, method=methods.pop() if len(methods) == 1 else None)

    @cached_property
    def axes(self) -> dict[str, tuple[str, Floats]]:
        """Short name of each number that all candidates have -> its name here, and its values."""
        first = self.points[0] if self.points else {}
        return {
            column(name): (name, np.array([point[name] for point in self.points], dtype=float))
            for name in first
            if name != "seed" and all(is_number(point.get(name)) for point in self.points)
        }

    @cached_property
    def varied(self) -> set[str]:
        """Short names of the numbers that vary."""
        return {name for name, (_, values) in self.axes.items() if np.ptp(values) > 0}

    @cached_property
    def trained_by(self) -> str | None:
        """The method; candidates that name none and vary lambda count as Barlow Twins."""
        return ASSUMED_METHOD if self.method == "" and "lambd" in self.varied else self.method


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """What a rule learns from.

    Args:
        sources: that are used.
        unused: a sentence for each source that is named and not used.
    """

    sources: tuple[Source, ...] = ()
    unused: tuple[str, ...] = ()


def choose(
    given: Given,
    target: Target,
    *,
    replayed: Landscape | None = None,
    without: Sequence[str] = (),
) -> Prior:
    """Read the sources that `rule.prior` names, and keep what the new candidates can use.

    Args:
        given: addresses of studies, tables and prior files, and `shipped`; `none` or nothing for no
            prior.
        target: the new candidates.
        replayed: the table of a replay. Sources that hold trials of it are left out.
        without: names of further sources that are left out.

    Raises:
        ConfigError: the user names sources and none of them can be used; or `without` names no
            source.
        UserError: a source cannot be read.
    """
    words = addresses_of(given)
    by_default = words == [SHIPPED]
    sources = [source for word in words for source in _named(word, target, strict=not by_default)]
    _check_without(without, sources)
    kept: dict[str, Source] = {}
    reasons: list[str] = []
    left_out = False
    for source in sources:
        if source.name in without or (replayed is not None and shares_trials(source, replayed)):
            left_out = True
            continue
        if reason := _unusable(source, target):
            reasons.append(f"{source.name} {reason}")
            continue
        if any((source.digest, source.method) == (s.digest, s.method) for s in kept.values()):
            reasons.append(f"{source.name} is given twice")
            continue
        name = _unique(source.name, kept)
        kept[name] = _fitted(replace(source, name=name), target)
    if words and not by_default and not kept and not left_out:
        raise ConfigError(
            f"rule.prior: no source can be used: {'; '.join(reasons) or 'there is none'}. "
            'Name other sources, or set rule.prior="none".'
        )
    # A study keeps its prior in a file. Read from a file here too, the numbers are the same.
    used = of_bytes("the prior", to_bytes(list(kept.values())))
    unused = () if by_default else tuple(f"rule.prior: {reason}." for reason in reasons)
    return Prior(sources=used, unused=unused)


def addresses_of(given: Given) -> list[str]:
    """Return the addresses, and `shipped`, in a value of `rule.prior`; `none` has none."""
    words = [given] if isinstance(given, str) else list(given)
    if NONE in words and len(words) > 1:
        raise ConfigError(f'rule.prior holds "none" and addresses: {words}. Keep one of them.')
    return [] if words == [NONE] else words


def _named(word: str, target: Target, *, strict: bool) -> list[Source]:
    """Return the sources that one word names; `strict` forbids a shipped prior of no source."""
    if word != SHIPPED:
        try:
            return [found.source for found in read(word)]
        except DataError as error:
            raise DataError(f"rule.prior: {error}") from None
    sources = shipped(target.trained_by or "")
    if strict and not sources:
        raise ConfigError(
            f"rule.prior: no prior of {target.trained_by or 'this method'} comes with sweep. Take "
            '"shipped" out.'
        )
    return list(sources)


def _check_without(without: Sequence[str], sources: Sequence[Source]) -> None:
    names = [source.name for source in sources]
    for name in without:
        if name not in names:
            raise ConfigError(unknown_name("The source to leave out", name, names))


def _unusable(source: Source, target: Target) -> str:
    """Return why a source cannot be used, "" if it can."""
    known = int((~np.isnan(source.accuracies)).any(1).sum())
    if known < 2:
        count = "no candidate" if not known else "one candidate"
        return f"has {count} with an accuracy, and a prior compares candidates"
    if target.method is None:
        return f"was trained by {source.method or 'one method'}, and this study by several methods"
    if source.method and target.trained_by and source.method != target.trained_by:
        return f"was trained by {source.method}, and this study by {target.trained_by}"
    varied = {name for name, values in source.axes.items() if np.ptp(values) > 0}
    if not varied & target.varied:
        theirs, ours = (", ".join(sorted(names)) or "nothing" for names in (varied, target.varied))
        return f"varies {theirs}, and this study varies {ours}"
    return ""


def _fitted(source: Source, target: Target) -> Source:
    """Return a source with the shared axes only, under the names that the new study gives them.

    Where the study has one d, lambda of the source is that of the same lambda * d.
    """
    axes = dict(source.axes)
    if {"lambd", "d"} <= axes.keys() and "d" not in target.axes and target.d:
        axes["lambd"] = axes["lambd"] * axes.pop("d") / target.d
    shared = {target.axes[name][0]: values for name, values in axes.items() if name in target.axes}
    return replace(source, axes=shared)


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that is not taken yet: `digits`, `digits 2`."""
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name} {number}"
    return unique
