"""One self-contained HTML file: the pictures, the table of trials, and what needs no script.

A Content-Security-Policy forbids every request, and every script and style but those of this file,
which it names by their hashes. Vega evaluates its expressions with an interpreter, so `unsafe-eval`
is not needed. The data are compressed JSON in base64, so no text in them can end a script.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from sweep.report import top
from sweep.report.fields import Row, finite
from sweep.report.pictures import pictures
from sweep.report.pictures.base import MOST_SVG, Picture, all_fields, ident, trial_rows
from sweep.report.render import columns, javascript
from sweep.report.study import StudyData
from sweep.report.theme import config

ALWAYS = ("id", "trial_id", "study", "winner", "tie", "broken", "status", "log", "alpha",
          "accuracy", "accuracy_lo", "accuracy_hi")  # fmt: skip
"""Columns of the trials that the page needs besides its fields."""


def page(studies: Sequence[StudyData], *, live: str = "") -> str:
    """Return the page.

    Args:
        studies: at least one.
        live: address of the server-sent events that tell a live page to load its data again;
            "" is a page that loads nothing.
    """
    scripts = [javascript(), _resource("page.js")]
    style = _resource("page.css")
    names = ", ".join(study.name for study in studies)
    policy = _policy(scripts, style, live=live)
    inline = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        "<!doctype html>\n"
        '<html lang=en><head><meta charset=utf-8><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}"><meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta name=color-scheme content="light dark"><meta name=referrer content=no-referrer>'
        f"<title>{top.text(names, 80)} · sweep</title><style>{style}</style></head><body>"
        f"<script type=application/octet-stream id=data>{packed(studies)}</script>"
        f"{_skeleton(studies, live)}{inline}</body></html>\n"
    )


def packed(studies: Sequence[StudyData]) -> str:
    """Return all data of a page: gzip of JSON, in base64."""
    text = json.dumps(_data(studies), separators=(",", ":"), default=str, allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _data(studies: Sequence[StudyData]) -> dict[str, Any]:
    fields = all_fields(studies)
    rows = trial_rows(studies)
    names = dict.fromkeys([*ALWAYS, *(field.name for field in fields)])
    return {
        "parts": {
            "header": top.header(studies),
            "cards": top.cards(studies),
            "details": top.details(studies),
        },
        "several": len(studies) > 1,
        "fields": [{**asdict(field), "percent": field.percent} for field in fields],
        "trials": {name: [finite(row.get(name)) for row in rows] for name in names},
        "pictures": {name: _picture(made) for name, made in pictures(studies).items()},
        "config": {"light": config("light"), "dark": config("dark")},
        "story": _story(studies),
    }


def _picture(picture: Picture) -> dict[str, Any]:
    data = {name: columns(rows) for name, rows in picture.data.items() if name != "trials"}
    return {
        "title": picture.title,
        "note": picture.note,
        "spec": picture.spec,
        "menus": picture.menus,
        "wide": picture.wide,
        "canvas": picture.marks > MOST_SVG,
        "trials": "trials" in picture.data,
        "data": data,
    }


STORY = ("seq", "time", "event", "what", "known", "best", "zone")


def _story(studies: Sequence[StudyData]) -> dict[str, list[list[Any]]]:
    """Return trial -> its events, times as seconds since the study began."""
    return {
        ident(study, trial_id): [_event(row, study.timeline.began or 0.0) for row in rows]
        for study in studies
        for trial_id, rows in study.story.items()
    }


def _event(row: Row, began: float) -> list[Any]:
    return [round(row[name] - began, 1) if name == "time" else row[name] for name in STORY]


def _skeleton(studies: Sequence[StudyData], live: str) -> str:
    server = f' data-live="{top.text(live)}"' if live else ""
    return (
        f"<header class=top{server}><div id=header>{top.header(studies)}</div>"
        "<div class=tools><button type=button id=theme>Theme</button></div></header>"
        f"<main><div id=cards class=cards>{top.cards(studies)}</div>"
        "<div id=filters class=filters role=status aria-live=polite></div>"
        "<div id=pictures class=pictures></div>"
        "<section class='card wide' id=table-card><h2>Trials</h2><div id=table></div></section>"
        f"<div id=details class=details>{top.details(studies)}</div></main>"
        "<noscript><p class=warning>Pictures and the table need JavaScript.</p></noscript>"
        "<div id=tip role=tooltip hidden></div>"
    )


@cache
def _resource(name: str) -> str:
    return (resources.files("sweep.report") / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], style: str, *, live: str) -> str:
    allowed = " ".join(_hash(script) for script in scripts)
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        f"connect-src {connect}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
