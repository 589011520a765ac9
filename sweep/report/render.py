"""Pictures as files, and the JavaScript of a page: the only file that imports vl-convert."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert

from sweep.core.errors import UserError
from sweep.report.fields import Row, Spec, label
from sweep.report.pictures.base import Picture
from sweep.report.theme import Theme, config
from sweep.storage.location import locate

FORMS = ("svg", "png", "pdf")
WIDTH = 620
WIDE = 980
SCALE = 2.0
"""Of a .png: pixels for each point of the picture."""


@cache
def javascript() -> str:
    """Return the bundle of Vega, Vega-Lite and Vega-Embed, with Vega's interpreter (0.9 MB)."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle


def form_of(path: Path) -> str:
    """Return the file format that a path's ending names; `UserError` if it is not one of ours."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise UserError(f"{path} does not end in .svg, .png or .pdf.")
    return form


def complete(picture: Picture, theme: Theme = "light", width: int | None = None) -> Spec:
    """Return the specification with its data, its look and a width in pixels."""
    spec = copy.deepcopy(picture.spec)
    _set_width(spec, width or (WIDE if picture.wide else WIDTH))
    return titled(spec, picture.title, picture.note, picture.data, theme)


def titled(
    spec: Spec, title: str, note: str, data: dict[str, list[Row]], theme: Theme = "light"
) -> Spec:
    """Return a specification with a title, a note below it, its data and its look."""
    look = config(theme)
    look["background"] = "white" if theme == "light" else "#14181d"
    heading: Spec = {"text": label(title), "subtitle": _lines(note), "offset": 14}
    heading |= {"subtitleFontSize": 11, "subtitleColor": look["axis"]["labelColor"]}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": heading,
        "padding": 16,
        "config": look,
        "datasets": data,
        **{key: value for key, value in spec.items() if key != "padding"},
    }


def write(picture: Picture, path: Path, theme: Theme = "light") -> None:
    """Write a picture without a browser; raises as `save` does."""
    save(complete(picture, theme), path)


def save(spec: Spec, path: Path) -> None:
    """Write a complete specification as a picture.

    Raises:
        UserError: the path does not end in .svg, .png or .pdf, or cannot be written.
    """
    data = image(spec, form_of(path))
    try:
        locate(path).write(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def image(spec: Spec, form: str) -> bytes:
    """Return a complete specification as an image of a form of `FORMS`."""
    whole = json.dumps(spec, default=str, ensure_ascii=False)
    text = whole.encode("utf-8", "replace").decode()  # a name may hold half of a letter
    if form == "svg":
        return _renumbered(vl_convert.vegalite_to_svg(text)).encode()
    if form == "pdf":
        pdf: bytes = vl_convert.vegalite_to_pdf(text)
        return pdf
    png: bytes = vl_convert.vegalite_to_png(text, scale=SCALE)
    return png


def _renumbered(svg: str) -> str:
    """Return the picture with its ids counted from 0, so that equal pictures are equal files."""
    ids = dict.fromkeys(re.findall(r'id="((?:gradient_|clip)\d+)"', svg))
    new = {old: re.sub(r"\d+", str(number), old) for number, old in enumerate(ids)}
    return re.sub(r"(?:gradient_|clip)\d+", lambda found: new.get(found[0], found[0]), svg)


def _set_width(spec: Any, width: int) -> None:
    """Replace the width of the container everywhere."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key == "width" and value == "container":
                spec[key] = width
            else:
                _set_width(value, width)
    elif isinstance(spec, list):
        for item in spec:
            _set_width(item, width)


def _lines(note: str, longest: int = 110) -> list[str]:
    lines = [""]
    for word in note.split():
        if len(lines[-1]) + len(word) > longest:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def columns(rows: list[Row]) -> dict[str, list[Any]]:
    """Return rows as columns, which take less room; a key that a row lacks is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
