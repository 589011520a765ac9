"""What all pictures share: their type, marks that fade, and the fields of several studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.report.fields import ROLES, Field, Row, Spec, field_of
from sweep.report.study import StudyData, fields

MOST_SVG = 2000
"""With more marks a picture is drawn on a canvas: a page of that many elements is slow."""
CHOSEN: Spec = {"name": "chosen", "value": None}
"""The page sets it to the trials that pass all filters, as trial -> true; null is all of them."""
IS_CHOSEN = "!chosen || chosen[datum.id]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture.

    Args:
        title: above the picture.
        note: below it: what its marks mean.
        spec: Vega-Lite's, without data values; `"width": "container"` is filled in.
        data: name of a data set of the specification -> its rows.
        marks: how many marks it has.
        menus: label -> option -> changes of the spec, as path -> value, for the page.
        wide: True if it takes the page's whole width.
    """

    title: str
    note: str
    spec: Spec
    data: dict[str, list[Row]]
    marks: int
    menus: dict[str, dict[str, dict[str, object]]] = field(default_factory=dict)
    wide: bool = False


def faded(shown: float, hidden: float) -> Spec:
    """Return an opacity: `shown` for chosen trials, `hidden` for others."""
    return {"condition": {"test": IS_CHOSEN, "value": shown}, "value": hidden}


def trial_rows(studies: Sequence[StudyData]) -> list[Row]:
    """Return the rows of all trials, each with an id that is unique over the studies."""
    return [{**row, "id": ident(study, row["trial_id"])} for study in studies for row in study.rows]


def ident(study: StudyData, trial_id: str) -> str:
    """Return an id of a trial that is unique over the studies of a report."""
    return f"{study.name}/{trial_id}"


def all_fields(studies: Sequence[StudyData]) -> list[Field]:
    """Return the fields of all studies, each described by the rows of all."""
    roles = {one.name: one.role for study in studies for one in fields(study)}
    order = sorted(roles, key=lambda name: ROLES.index(roles[name]) if name != "reason" else 9)
    rows = [row for study in studies for row in study.rows]
    if len(studies) == 1:
        return fields(studies[0])
    return [field_of(name, rows, roles[name]) for name in order]


def dot_size(count: int) -> int:
    """Return the area of a dot that suits the number of dots, in square pixels."""
    return max(24, min(150, 12_000 // max(1, count)))
