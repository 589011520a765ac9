"""The look of all pictures, for a light and a dark page: colours, type and lines."""

from __future__ import annotations

from typing import Any, Literal

Theme = Literal["light", "dark"]

FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
ACCENT = "#3b7dd8"
WINNER = "#e8590c"
SCHEME = {"name": "viridis", "extent": [0.22, 1.0]}
"""Colours of numbers; the darkest ones, which a dark page would hide, are left out."""
CATEGORIES = (
    "#3b7dd8",
    "#e69f00",
    "#0ca678",
    "#cc79a7",
    "#d55e00",
    "#56b4e9",
    "#8a6fd1",
    "#9aa3ad",
)
"""For studies and names: near the palette of Okabe and Ito, which colour-blind readers can use."""
KINDS = {
    "training": "#3b7dd8",
    "measuring": "#8a6fd1",
    "probing": "#e69f00",
    "testing": "#0ca678",
    "waiting": "#9aa3ad90",
    "failed": "#d6336c",
    "idle": "#9aa3ad2e",
}
"""What a worker does -> its colour, in pictures and on the page."""
STAGES = {
    "pretraining": KINDS["training"],
    "measures": KINDS["measuring"],
    "probes": KINDS["probing"],
    "test": KINDS["testing"],
    "saved (predicted)": "#9aa3ad70",
}
UNKNOWN = "#9aa3ad"
"""The colour of marks whose value is not known."""
_INK = {
    "light": {"text": "#1b1f24", "soft": "#59636e", "line": "#d5dae0", "grid": "#eceff2"},
    "dark": {"text": "#e6e9ed", "soft": "#9aa5b1", "line": "#3a424c", "grid": "#262c34"},
}


def config(theme: Theme = "light") -> dict[str, Any]:
    """Return the `config` of Vega-Lite for a theme."""
    ink = _INK[theme]
    words = {"labelColor": ink["soft"], "titleColor": ink["text"], "titleFontWeight": 500}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": ink["line"], "strokeWidth": 1},
        "axis": {
            **words,
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titlePadding": 10,
            "gridColor": ink["grid"],
            "domainColor": ink["line"],
            "tickColor": ink["line"],
            "tickSize": 4,
            "labelLimit": 160,
            "titleLimit": 420,
        },
        "legend": {
            **words,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleLimit": 260,
            "labelLimit": 220,
            "symbolSize": 80,
        },
        "title": {"color": ink["text"], "fontSize": 14, "fontWeight": 600, "anchor": "start"},
        "text": {"color": ink["soft"]},
        "rule": {"color": ink["soft"]},
        "scale": {"invalid": {"color": {"value": UNKNOWN}}},
        "range": {"category": list(CATEGORIES)},
        "line": {"strokeCap": "round", "strokeJoin": "round"},
        "style": {"guide-label": {"font": FONT}, "guide-title": {"font": FONT}},
    }
