"""The fields of trials in a report: their titles in words, their scales, how numbers are written.

A field is a column of the rows that a report shows. A channel is what Vega-Lite calls the encoding
of a field as a position or a colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweep.core.records import MEASURES_OF_PROBE
from sweep.core.text import one_line
from sweep.report.theme import SCHEME

Row = dict[str, Any]
Spec = dict[str, Any]
Role = Literal["varied", "measure", "cost", "text"]

ROLES: tuple[Role, ...] = ("text", "varied", "measure", "cost")
"""In the order of the table's columns."""
TITLES: Mapping[str, str] = {
    "d": "d (dimensions of the projector's output)",
    "lambd": "λ (weight of the loss's redundancy term)",
    "lambd_d": "λ·d (weight of the redundancy term times d)",
    "lr": "learning rate",
    "lr_per_256": "learning rate per 256 images",
    "width": "width of the encoder (channels)",
    "weight_decay": "weight decay",
    "epochs": "epochs of pretraining",
    "alpha": "alpha (decay exponent of the eigenspectrum)",
    "alpha_r2": "R² of the fit of alpha",
    "rankme": "RankMe (effective rank of the features)",
    "loss": "loss at the last step",
    "accuracy": "validation accuracy (%)",
    "accuracy_se": "standard error of the accuracy (%)",
    "balanced_accuracy": "validation balanced accuracy (%)",
    "macro_f1": "validation macro F1 (%)",
    "top5_accuracy": "validation top-5 accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "fraction": "share of training done (%)",
    "device_seconds": "time on a device (seconds)",
    "attempt": "attempts",
    "trial_id": "trial",
}
HEADINGS: Mapping[str, str] = {
    "lambd": "λ",
    "lambd_d": "λ·d",
    "accuracy": "accuracy",
    "accuracy_se": "± s.e.",
    "balanced_accuracy": "balanced acc.",
    "macro_f1": "macro F1",
    "top5_accuracy": "top-5 acc.",
    "test_accuracy": "test acc.",
    "fraction": "trained",
    "device_seconds": "device s",
    "attempt": "attempts",
    "trial_id": "trial",
    "rankme": "RankMe",
    "alpha_r2": "alpha R²",
}
PERCENT = ("accuracy", "accuracy_se", *MEASURES_OF_PROBE, "test_accuracy", "fraction")
LINEAR = ("alpha", "alpha_r2", "rankme", *PERCENT)
LOG_RATIO = 10.0
"""An axis is logarithmic if the largest value is at least this many times the smallest."""
LABEL = "format(datum.value, abs(datum.value) < 1 ? '.3~g' : '~r')"
"""How an axis writes a number: three digits below 1, all digits above."""
LONGEST = 48
"""The longest title, in letters: names come from configs of any kind."""
FEW_TICKS = 3
"""An axis with fewer ticks gets more between the powers of ten."""
FEW_VALUES = 12
"""A field with at most this number of values gets a label for each on its axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of the trials.

    Args:
        name: key in the rows.
        title: in words, with the unit.
        heading: of the column in the table.
        kind: `number` or `name`.
        role: `varied`, `measure`, `cost` or `text`.
        log: True if its axis is logarithmic.
        values: its distinct values, where there are at most `FEW_VALUES`.
        range: its smallest and largest number.
    """

    name: str
    title: str
    heading: str
    kind: Literal["number", "name"]
    role: Role
    log: bool = False
    values: tuple[Any, ...] = ()
    range: tuple[float, float] = (0.0, 0.0)

    @property
    def percent(self) -> bool:
        """True if the values are shares, which are shown in percent."""
        return self.name in PERCENT

    @property
    def format(self) -> str:
        """The format of its numbers, in the language of d3."""
        return ".1%" if self.percent else ".4~g"


def field_of(name: str, rows: Iterable[Row], role: Role) -> Field:
    """Return the description of a field, given the rows that hold it."""
    values = [value for row in rows if (value := row.get(name)) is not None]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    number = bool(numbers) and len(numbers) == len(values)
    distinct = tuple(sorted(set(values))) if number else tuple(sorted({str(v) for v in values}))
    return Field(
        name=name,
        title=title_of(name),
        heading=HEADINGS.get(name, label(name, 20)),
        kind="number" if number else "name",
        role=role,
        log=number and name not in LINEAR and wide(numbers),
        values=distinct if len(distinct) <= FEW_VALUES else (),
        range=(float(min(numbers)), float(max(numbers))) if number else (0.0, 0.0),
    )


def wide(numbers: Sequence[float]) -> bool:
    """Return whether positive numbers span so much that a logarithmic axis shows them better."""
    return min(numbers) > 0 and max(numbers) >= LOG_RATIO * min(numbers)


def short(text: str, longest: int = LONGEST) -> str:
    """Return a text of at most some letters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def title_of(name: str) -> str:
    """Return a field's title in words."""
    return TITLES.get(name, label(name.replace("_", " ")))


def label(text: str, longest: int = LONGEST) -> str:
    """Return a text as a title of a picture: on one line, and of a bounded length.

    Vega-Lite puts titles into expressions without escaping them, so the two characters that could
    end a string there are replaced by others that look alike.
    """
    return short(one_line(text), longest).translate({ord('"'): "”", ord("\\"): "⧵"})


def position(field: Field) -> Spec:
    """Return the channel of a field as a position."""
    if field.kind == "name":
        return {"field": key(field.name), "type": "nominal", "title": field.title}
    axis: Spec = {"format": "~%"} if field.percent else {"labelExpr": LABEL}
    if field.values and field.role == "varied":
        axis["values"] = list(field.values)
        axis["labelOverlap"] = True
    elif field.log:
        axis |= log_axis(*field.range)
    scale: Spec = {"type": "log", "nice": False} if field.log else {"zero": False}
    scale["padding"] = 14
    return {
        "field": key(field.name),
        "type": "quantitative",
        "title": field.title,
        "scale": scale,
        "axis": axis,
    }


def log_axis(lo: float, hi: float) -> Spec:
    """Return a logarithmic axis with ticks at the powers of ten, with more if these are few."""
    decades = range(math.floor(math.log10(lo)), math.ceil(math.log10(hi)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if lo <= tick * 1.0001 and tick <= hi * 1.0001]
        if len(inside) >= FEW_TICKS:
            break
    return {"values": inside, "labelExpr": LABEL, "labelOverlap": True}


def colour(field: Field) -> Spec:
    """Return the channel of a field as a colour; `theme` has that of marks without a value."""
    name = key(field.name)
    if field.kind == "name":
        coded: Spec = {"field": name, "type": "nominal", "title": field.heading}
    else:
        legend = {"format": "~%" if field.percent else ".3~g", "gradientLength": 180}
        coded = {
            "field": name,
            "type": "quantitative",
            "title": field.heading,
            "scale": {"scheme": SCHEME, **({"type": "log"} if field.log else {"zero": False})},
            "legend": legend,
        }
    return coded


def is_known(field: Field) -> str:
    """Return the expression of Vega that is true where a row has a value of the field."""
    return f"isValid(datum[{quoted(field.name)}])"


def key(name: str) -> str:
    """Return a field's name as Vega-Lite takes it: dots and brackets are escaped."""
    return "".join(f"\\{letter}" if letter in ".[]\\'\"" else letter for letter in name)


def quoted(name: str) -> str:
    """Return a name as a string in an expression of Vega."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ")
    return f"'{escaped}'"


def unit_of(seconds: float) -> tuple[float, str]:
    """Return the number of seconds in the unit that suits a span of time, and its name."""
    for size, name in ((86400.0 * 3, "days"), (7200.0, "hours"), (180.0, "minutes")):
        if seconds >= size:
            return {"days": 86400.0, "hours": 3600.0, "minutes": 60.0}[name], name
    return 1.0, "seconds"


def finite(value: Any) -> Any:
    """Return None in place of a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
