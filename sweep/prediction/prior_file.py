"""The file of a prior: earlier studies, each kept apart, as JSON.

    {"format": "sweep prior 1", "sources": [{"name", "digest", "method", "axes", "fractions",
     "accuracies", "measures"}, ...]}

The fields of a source are those of `sweep.prediction.earlier.Source`. A column of `axes` is a list
of N numbers; `accuracies` and each of `measures` are N rows of T numbers, null where there is none.
Numbers have six significant digits. `sweep prior ... -o` writes such files, a study keeps one in
its folder, and the folder `priors` beside this file has one for each method with a shipped prior.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sweep.core.errors import DataError
from sweep.core.history import Floats
from sweep.core.limits import NAME
from sweep.prediction.earlier import Source

DIGITS = 6
"""Significant digits of a number in the file."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Rows = list[list[Number | None]]


class _Fields(BaseModel):
    """One source, as it stands in the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    digest: str
    method: str
    axes: dict[str, list[Number]]
    fractions: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]
    accuracies: Rows
    measures: dict[str, Rows]

    @model_validator(mode="after")
    def _shapes_agree(self) -> _Fields:
        count = len(self.accuracies)
        if sorted(set(self.fractions)) != self.fractions or self.fractions[-1] != 1:
            raise ValueError("fractions must ascend and end at 1")
        if any(len(column) != count for column in self.axes.values()):
            raise ValueError(f"an axis has not one number for each of {count} candidates")
        for rows in (self.accuracies, *self.measures.values()):
            if len(rows) != count or any(len(row) != len(self.fractions) for row in rows):
                raise ValueError("a table has not one number for each candidate and fraction")
        return self


class _File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["sweep prior 1"]
    sources: list[_Fields]


def to_bytes(sources: Sequence[Source]) -> bytes:
    """Return the file of a prior, one source in a line."""
    lines = [json.dumps(_to_json(source), allow_nan=False) for source in sources]
    text = ",\n".join(lines)
    return f'{{"format": "sweep prior 1", "sources": [\n{text}\n]}}\n'.encode()


def of_bytes(name: str, data: bytes) -> tuple[Source, ...]:
    """Return the sources in a file.

    Args:
        name: of the file, for the sentences.
        data: its bytes.

    Raises:
        DataError: it is no prior, or an accuracy does not lie between 0 and 1.
    """
    try:
        file = _File.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{name} is no prior file: {where}: {first['msg']}. "
            "`sweep prior TABLE -o FILE.json` makes one."
        ) from error
    return tuple(checked(_of_json(fields)) for fields in file.sources)


def checked(source: Source) -> Source:
    """Return a source; raise `DataError` if an accuracy does not lie between 0 and 1."""
    known = source.accuracies[~np.isnan(source.accuracies)]
    if len(known) and not 0 <= known.min() <= known.max() <= 1:
        wrong = known[(known < 0) | (known > 1)][0]
        raise DataError(
            f"{source.name} cannot be a prior: it has the accuracy {wrong:g}, and accuracies must "
            "be parts of 1. Divide percentages by 100."
        )
    return source


def digest_of(data: bytes) -> str:
    """Return the digest of a prior file, 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def shipped(method: str) -> tuple[Source, ...]:
    """Return the prior of a method that comes with sweep; no source where there is none."""
    if not NAME.fullmatch(method):  # for example a method of the user's own
        return ()
    file = resources.files("sweep.prediction").joinpath("priors", f"{method}.json")
    if not file.is_file():
        return ()
    return of_bytes(f"the prior of {method} that comes with sweep", file.read_bytes())


def _to_json(source: Source) -> dict[str, object]:
    return {
        "name": source.name,
        "digest": source.digest,
        "method": source.method,
        "axes": {name: [_brief(v) for v in column] for name, column in source.axes.items()},
        "fractions": list(source.fractions),
        "accuracies": _rows(source.accuracies),
        "measures": {name: _rows(table) for name, table in source.measures.items()},
    }


def _of_json(fields: _Fields) -> Source:
    return Source(
        name=fields.name,
        digest=fields.digest,
        method=fields.method,
        axes={name: np.array(column, dtype=np.float64) for name, column in fields.axes.items()},
        fractions=tuple(fields.fractions),
        accuracies=_table(fields, fields.accuracies),
        measures={name: _table(fields, rows) for name, rows in fields.measures.items()},
    )


def _rows(table: Floats) -> list[list[float | None]]:
    return [[None if np.isnan(value) else _brief(value) for value in row] for row in table]


def _table(fields: _Fields, rows: Rows) -> Floats:
    """Return rows of a file as float64 [N, T], NaN for null."""
    table = np.array(rows, dtype=np.float64)  # None becomes NaN
    return table.reshape(len(rows), len(fields.fractions))


def _brief(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")
