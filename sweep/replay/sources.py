"""Earlier studies and tables as the sources of a prior.

A study's folder, finished or not, a Parquet or CSV table, and a file of `sweep prior` each give
sources. Candidates of several methods give one source for each method.
Shapes: N candidates of a source, T looks, the last of which is the end of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.core.errors import DataError
from sweep.core.history import Floats
from sweep.log.study_folder import is_study
from sweep.prediction.earlier import Source
from sweep.prediction.prior_file import checked, of_bytes
from sweep.replay.landscape import Landscape, Recorded
from sweep.replay.landscape_files import load
from sweep.replay.typed_rows import ACCURACIES
from sweep.storage.location import Address, locate
from sweep.tables.parameters import column

ASSUMED_METHOD = "barlow_twins"
"""Method of a table that names none and varies `lambd` or `lambd_d`."""
SUFFIXES = (".parquet", ".csv", ".json")
"""Of tables and prior files; any other address is a study's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A source, and how its method is known.

    Args:
        source: one earlier study or table.
        assumed: whether the method is `ASSUMED_METHOD` because the table names none.
    """

    source: Source
    assumed: bool = False


def read(address: Address) -> list[Read]:
    """Return the sources at an address.

    Args:
        address: of a study's folder, a .parquet or .csv table, or a .json file of `sweep prior`.

    Raises:
        DataError: there is no such thing, it cannot be read, or an accuracy does not lie between
            0 and 1. A table whose accuracies are in percent is divided by 100, as by
            `sweep replay`.
    """
    location = locate(address)
    if location.path.suffix == ".json":
        try:
            data = location.read()
        except OSError as error:
            raise DataError(
                f"The prior {location} cannot be read: {error.strerror or error}."
            ) from None
        return [Read(source=source) for source in of_bytes(str(location), data)]
    if location.path.suffix in SUFFIXES and not location.is_folder():
        return of_landscape(load(location, unfinished=True))
    if not is_study(location):
        raise DataError(
            f"{location} cannot be a prior. A prior is the folder of a study, a .parquet or .csv "
            "table, or a .json file of `sweep prior`."
        )
    return of_landscape(load(location))


def of_landscape(landscape: Landscape) -> list[Read]:
    """Return the sources in a table, one for each method.

    Raises:
        DataError: an accuracy does not lie between 0 and 1.
    """
    groups: dict[str, list[Recorded]] = {}
    for candidate in landscape.candidates:
        groups.setdefault(_method(candidate, landscape), []).append(candidate)
    digest = _digest(landscape)
    several = len(groups) > 1
    out = []
    for method, candidates in groups.items():
        name = f"{landscape.name} ({method or 'unknown method'})" if several else landscape.name
        out.append(_source(name, digest, method, candidates))
    return out


def shares_trials(source: Source, landscape: Landscape) -> bool:
    """Return whether a source holds trials of a table: the table itself, a part of it, or a join.

    Two trials are the same if they agree in the axes and in the accuracies that both have. Two such
    trials are needed, because one may be a coincidence.
    """
    return any(_same_trials(source, found.source) >= 2 for found in of_landscape(landscape))


def _same_trials(source: Source, other: Source) -> float:
    """Return how many trials of a source another holds; infinity if it holds all there are."""
    axes = source.common(tuple(other.axes))
    looks = [fraction for fraction in source.fractions if fraction in other.fractions]
    own_NK, other_MK = (
        np.column_stack(
            [side.axes[name] for name in axes]
            + [side.accuracies[:, side.fractions.index(fraction)] for fraction in looks]
        )
        for side in (source, other)
    )
    close_NMK = np.isclose(own_NK[:, None], other_MK[None], rtol=1e-5, atol=1e-6)
    # A look that one of both lacks says nothing; one look at least must agree.
    unknown_NMK = np.isnan(own_NK)[:, None] | np.isnan(other_MK)[None]
    agree_NM = np.any(close_NMK[..., len(axes) :], axis=-1)
    same_NM = np.all(close_NMK | unknown_NMK, axis=-1) & agree_NM
    count = int(np.any(same_NM, axis=1).sum())
    return np.inf if count and count == min(same_NM.shape) else count


def described(found: Read) -> str:
    """Return a source in one line: its candidates, axes, method and fractions."""
    source = found.source
    method = source.method or "method unknown"
    if found.assumed:
        method += " (assumed, because it names no method and varies lambda)"
    looks = ", ".join(f"{fraction:.3g}" for fraction in source.fractions)
    return (
        f"{source.name}: {len(source.accuracies)} candidates over "
        f"{', '.join(source.axes) or 'no axis'}; {method}; looks at {looks}"
    )


def _method(candidate: Recorded, landscape: Landscape) -> str:
    for field in ("method.name", "method"):
        if field in candidate.names:
            return str(candidate.names[field])
    return landscape.method


def _source(name: str, digest: str, method: str, candidates: Sequence[Recorded]) -> Read:
    """Return the source of some candidates; those that were never probed are left out."""
    kept = [c for c in candidates if any(s.measure("accuracy") for s in c.seen)]
    axes = _axes(kept)
    assumed = not method and bool({"lambd", "lambd_d"} & axes.keys())
    looks = {s.fraction for c in kept for s in c.seen if s.stage in ("measured", "probed")}
    fractions = tuple(sorted({*looks, 1.0}))
    names = {m.name for c in kept for s in c.seen if s.stage != "probed" for m in s.measures}
    source = Source(
        name=name,
        digest=digest,
        method=ASSUMED_METHOD if assumed else method,
        axes=axes,
        fractions=fractions,
        accuracies=_table(kept, fractions, "accuracy"),
        measures={
            measure: table
            for measure in sorted(names - set(ACCURACIES))
            if not np.isnan(table := _table(kept, fractions, measure)).all()
        },
    )
    return Read(source=checked(source), assumed=assumed)


def _axes(candidates: Sequence[Recorded]) -> dict[str, Floats]:
    """Return the numbers that vary, except the seed, by their short names.

    lambda * d becomes lambda where d is known. A d that does not vary is kept beside lambda.
    """
    points = [{column(name): v for name, v in c.point.items()} for c in candidates]
    shared = set.intersection(*(set(point) for point in points)) if points else set()
    columns = {
        name: np.array([point[name] for point in points])
        for name in (points[0] if points else {})
        if name in shared and name != "seed"
    }
    if {"lambd_d", "d"} <= columns.keys() and (columns["d"] > 0).all():
        columns["lambd"] = columns.pop("lambd_d") / columns["d"]
    varied = {name: values for name, values in columns.items() if np.ptp(values) > 0}
    if "lambd" in varied and "d" in columns:
        varied["d"] = columns["d"]
    return varied


def _table(candidates: Sequence[Recorded], fractions: Sequence[float], name: str) -> Floats:
    """Return one measure of every candidate at every look, [N, T]."""
    table = np.full((len(candidates), len(fractions)), np.nan)
    place: Callable[[float], int] = {f: i for i, f in enumerate(fractions)}.__getitem__
    for row, candidate in enumerate(candidates):
        for seen in candidate.seen:
            measure = seen.measure(name)
            if measure is not None and measure.value is not None and seen.fraction in fractions:
                table[row, place(seen.fraction)] = measure.value
    return table


def _digest(landscape: Landscape) -> str:
    """Return a digest of the candidates and their accuracies, in whatever order they stand."""
    rows = sorted(
        json.dumps(
            [
                sorted({**candidate.point, **candidate.names}.items()),
                [
                    (seen.fraction, measure.value)
                    for seen in candidate.seen
                    if (measure := seen.measure("accuracy")) is not None
                ],
            ]
        )
        for candidate in landscape.candidates
    )
    return hashlib.blake2b("\n".join(rows).encode(), digest_size=16).hexdigest()
