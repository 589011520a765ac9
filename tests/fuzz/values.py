"""Unusual values, of every type that TOML, JSON and SQL have."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2, 4, 10, 0.5, -0.0, 1.5, 255, 2**31, 2**53, 2**63, -(2**63) - 1, 10**30]
    ),
    st.sampled_from([1e-320, 1e-9, 1e18, 1e308, float("inf"), float("-inf"), float("nan")]),
    st.integers(-20, 20),
    st.floats(),
)
WORDS = st.one_of(
    st.sampled_from(
        ["", " ", "x", "..", "../outside", "/etc/passwd", "~", "a/b", "\0", "\x1b[31m", "\u202e"]
    ),
    st.sampled_from(["os:getcwd", "math:pi", "nobody:x", "json:", ":", "a:b:c", "tests:x"]),
    st.sampled_from(["alpha", "auto", "all", "paper", "random", "none", "digits", "small_conv"]),
    st.sampled_from(["Ж" * 3, "x" * 300, "1", "true", "[1]", "{}", "nan", "[red]", "%s", "{x}"]),
    st.text(max_size=8),
)
SCALARS: st.SearchStrategy[Any] = st.one_of(NUMBERS, WORDS, st.booleans())
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), SCALARS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
DATES = st.sampled_from(
    [datetime.date(2020, 1, 2), datetime.time(3, 4), datetime.datetime(2020, 1, 2, 3, 4)]
)
TOML: st.SearchStrategy[Any] = st.recursive(
    st.one_of(SCALARS, DATES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def toml(value: Any) -> str:
    """Return a value as TOML text on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(map(_letter, value)) + '"'
        case dict():
            inside = ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items())
            return "{" + inside + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml, value)) + "]"
        case datetime.date() | datetime.time():
            return value.isoformat()
    return str(value)


def _letter(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    code = ord(letter)
    if letter.isprintable():
        return letter
    return "\\ufffd" if 0xD800 <= code < 0xE000 else f"\\U{code:08x}"
