"""Events as lines of JSON, and back: the only code that knows how a line is built.

A log may come from anywhere, so `decode` accepts a line only where every field has its type and
lies within its limits (`sweep.core.limits`). What a trial writes into a `detail` is not checked.
Whether the events fit each other is checked where they are folded (`sweep.core.history`).

A changed field of an event is a new `FORMAT`: a line holds every field of its type. Unknown
fields beside them are ignored.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from sweep.core.errors import OtherFormat
from sweep.core.events import FORMAT, Event, SessionBegan, StudyBegan
from sweep.core.records import Observation

MOST_LEVELS = 100
"""Largest number of nested levels in a line."""

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)


# To a line ---------------------------------------------------------------------------


def encode(value: Event | Observation) -> bytes:
    r"""Return the line of an event, or of an observation alone; it ends in "\n".

    The line is ASCII: some readers end a line at other characters than ours. A character that
    UTF-8 cannot hold (Python makes some from names of files) becomes "?".

    Raises:
        ValueError, TypeError: a field holds NaN, infinity, or something that JSON cannot hold.
    """
    line = _ENCODER.encode(value)
    if "\\ud" in line:
        line = _SURROGATE.sub(lambda found: "?" if found[1] else found[0], line)
    return line.encode() + b"\n"


def _plain(value: Any) -> dict[str, Any]:
    """Return a dataclass, or a mapping that is no dict, as a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    names = _NAMES.get(type(value))
    if names is None and not is_dataclass(value):
        raise TypeError(f"JSON cannot hold a {type(value).__name__}")
    if names is None:
        names = _NAMES[type(value)] = tuple(field.name for field in fields(value))
    return {name: getattr(value, name) for name in names}


_NAMES: dict[type, tuple[str, ...]] = {}
"""Type -> names of its fields, which `dataclasses.fields` would collect for each value."""


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)
_SURROGATE = re.compile(r"\\\\|\\ud[89ab]..\\ud[c-f]..|(\\ud[89a-f]..)")
"""An escaped backslash, a pair of surrogates, or (group 1) a surrogate alone."""


# From a line -------------------------------------------------------------------------


def decode(line: bytes) -> Event:
    """Return the event of a line.

    Raises:
        ValueError: the line holds no event, or a value out of its limits.
        OtherFormat: the event is in another format.
    """
    try:
        event = _EVENT.validate_json(line, strict=True)
    except ValidationError as error:
        _check_format(_parsed(line))
        raise ValueError(_sentence(error)) from error
    if isinstance(event, StudyBegan | SessionBegan) and event.format != FORMAT:
        _refuse(event.format, {})
    _check_depth(line)
    return event


def decode_observation(line: bytes) -> Observation:
    """Return the observation of a line that `encode` wrote; `ValueError` where it holds none."""
    try:
        observation = _OBSERVATION.validate_json(line, strict=True)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from error
    _check_depth(line)
    return observation


def _check_depth(line: bytes) -> None:
    """Raise `ValueError` where a line is nested more than `MOST_LEVELS` deep."""
    if line.count(b"[") + line.count(b"{") > MOST_LEVELS and _deeper(json.loads(line), MOST_LEVELS):
        raise ValueError(f"it is nested more than {MOST_LEVELS} deep")


def _deeper(value: Any, levels: int) -> bool:
    """Return whether JSON is nested more than so many levels deep."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in inside)


def _sentence(error: ValidationError) -> str:
    """Return the first thing that is wrong with a line: which field, what it is, what it must be.

    For example `observation.step is -1, but must be >= 0`.
    """
    first = error.errors(include_url=False)[0]
    kind, message = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "json_invalid":
        deep = "recursion" in message
        return f"it is nested more than {MOST_LEVELS} deep" if deep else message
    place = ".".join(map(str, first["loc"])) or "the event"
    if kind == "missing":
        return f"{place} is missing"
    if kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        message = f"but must be {sign} {first['ctx'][name]:g}"
    return f"{place} is {reprlib.repr(first['input'])}, {message}"


_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
}
"""Error of pydantic -> name of the limit in the error's context, and how it is written."""


# Other formats -----------------------------------------------------------------------


def _parsed(line: bytes) -> Mapping[str, Any]:
    """Return the fields of a line, none where it is no table of JSON."""
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _check_format(tree: Mapping[str, Any]) -> None:
    """Raise `OtherFormat` where the first event of a study or session is in another format."""
    if tree.get("kind") not in ("study", "session"):
        return
    payload = tree.get("payload")  # format 1 kept all fields but five in there
    if isinstance(payload, dict):
        _refuse(1, payload)
    if type(tree.get("format")) is int and tree["format"] != FORMAT:
        _refuse(tree["format"], tree)


def _refuse(format: int, birth: Mapping[str, Any]) -> NoReturn:
    """Raise `OtherFormat` for events in another format; `birth` may tell who wrote them."""
    if format > FORMAT:
        raise OtherFormat(
            f"This study was written by a newer sweep: its events are in format {format}, "
            f"and this one reads {FORMAT}. Install a newer sweep to read it."
        )
    raise OtherFormat(
        f"This study was written by {_writer(birth)}: its events are in format {format}, and this "
        f"sweep reads format {FORMAT}. Read it with that version, or run the study again."
    )


def _writer(birth: Mapping[str, Any]) -> str:
    """Return the version of sweep, and its commit, that a study's first event names."""
    versions = birth.get("versions")
    version = versions.get("sweep") if isinstance(versions, dict) else None
    commit = birth.get("commit")
    writer = f"sweep {version}" if isinstance(version, str) else "an older sweep"
    return f"{writer} (commit {commit[:12]})" if isinstance(commit, str) else writer
