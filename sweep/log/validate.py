"""What an event must hold before anybody believes it: a log may come from anywhere.

Asked of each line that is read, at less than half of what reading its JSON takes. Names, types and
ranges of what is read in many places, so that none of these has to ask again, and no name leads
out of the study's folder; what a trial says in its details is its own, and whether the events
make a story is seen where they are folded.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from sweep.core.limits import LARGEST, NAME
from sweep.core.records import Action, Event, EventKind, MeasureStatus, Stage

DEEPEST = 100
_MOST = 2**63

Check = Callable[[Any], bool]

OF_TRIALS = frozenset({"candidate", "start", "observation", "verdict", "dropped", "failure"})


def admitted(event: Event, line: bytes) -> Event:
    """Return the event if it is one that a driver writes; raise `ValueError` if not.

    Args:
        event: as its line says.
        line: that.
    """
    kind, payload = event.kind, event.payload
    if not isinstance(kind, str) or kind not in _PAYLOADS:
        raise ValueError(f"no event is a {reprlib.repr(kind)}")
    if not _whole(event.seq) or not _whole(event.attempt) or not _number(event.time):
        raise ValueError(f"seq, attempt and time of the event {kind!r} are not all numbers")
    if not isinstance(payload, dict):
        raise ValueError(f"the payload of the event {kind!r} is {reprlib.repr(payload)}")
    for name, check, required in _PAYLOADS[kind]:
        if name in payload:
            if not check(payload[name]):
                value = reprlib.repr(payload[name])
                raise ValueError(f"{name!r} of the event {kind!r} cannot be {value}")
        elif required:
            raise ValueError(f"the event {kind!r} lacks {name!r}")
    if kind in OF_TRIALS:
        if not _name(event.trial_id):
            raise ValueError(f"no trial is named {reprlib.repr(event.trial_id)}")
    elif event.trial_id != "":
        raise ValueError(f"the event {kind!r} is about no trial")
    if line.count(b"[") + line.count(b"{") > DEEPEST and _deeper(payload, DEEPEST):
        raise ValueError(f"the event {kind!r} is nested more than {DEEPEST} deep")
    return event


def _deeper(value: Any, levels: int) -> bool:
    """True if JSON is nested more than so many levels deep."""
    inside = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return False
    return levels == 0 or any(_deeper(item, levels - 1) for item in inside)


# What a field may be -----------------------------------------------------------------


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _tree(value: Any) -> bool:
    return isinstance(value, dict)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _number(value: Any) -> bool:
    """Finite, and so small that it may be added up and squared; True and False are none."""
    return type(value) in (int, float) and -LARGEST < value < LARGEST


def _seconds(value: Any) -> bool:
    return _number(value) and value >= 0


def _name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_name, value))


def _interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _one_of(words: Any) -> Check:
    known = frozenset(get_args(words))
    return lambda value: isinstance(value, str) and value in known


def _fraction(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _point(value: Any) -> bool:
    """Values of any kind; those that are numbers are some to reckon with."""
    if type(value) is not dict:
        return False
    return all(_number(one) for one in value.values() if type(one) in (int, float))


def _budget(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("budget", {}), dict)


def _zone(value: Any) -> bool:
    return isinstance(value, dict) and all(
        check(value[name]) if name in value else not required for name, check, required in _ZONE
    )


def _cost(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"wall_seconds", "device_seconds"}
        and all(map(_seconds, value.values()))
    )


def _measures(value: Any) -> bool:
    return isinstance(value, list) and all(map(_measure, value))


def _measure(value: Any) -> bool:
    """As `Measure` has it: a number where it can be used, none where it cannot."""
    if not isinstance(value, dict) or value.keys() != {"name", "value", "status", "detail"}:
        return False
    if not _status(value["status"]):
        return False
    usable = value["status"] in ("ok", "poor_fit")
    right = _number(value["value"]) if usable else value["value"] is None
    return right and isinstance(value["name"], str) and isinstance(value["detail"], dict)


_status = _one_of(MeasureStatus)

_Fields = Sequence[tuple[str, Check, bool]]

_ZONE: _Fields = (
    ("lo", _or_none(_number), True),
    ("hi", _or_none(_number), True),
    ("through", _whole, True),
    ("note", _text, False),
)
_PAYLOADS: Mapping[EventKind, _Fields] = {
    "study": (
        ("name", _name, True),
        ("config", _tree, True),
        ("config_digest", _text, True),
        ("data_digest", _text, True),
        ("versions", _tree, True),
        ("commit", _or_none(_text), True),
        ("created", _number, True),
        ("path", _or_none(_text), False),
    ),
    "session": (
        ("host", _text, False),
        ("pid", _whole, False),
        ("runner", _text, False),
        ("device", _text, False),
        ("workers", _whole, False),
    ),
    "candidate": (("point", _point, True), ("config", _tree, True), ("index", _whole, True)),
    "start": (("worker", _or_none(_text), False), ("log", _or_none(_text), False)),
    "observation": (
        ("stage", _one_of(Stage), True),
        ("step", _whole, True),
        ("fraction", _fraction, True),
        ("measures", _measures, True),
        ("cost", _cost, True),
        ("detail", _tree, True),
    ),
    "verdict": (
        ("action", _one_of(Action), True),
        ("reason", _text, True),
        ("zone", _zone, True),
        ("answers_seq", _whole, True),
    ),
    "zone": (*_ZONE, ("answers_seq", _whole, True)),
    "dropped": (),
    "failure": (
        ("error", _text, True),
        ("final", _flag, True),
        ("traceback", _text, False),
        ("cause", _text, False),
    ),
    "idle": (("reason", _text, True),),
    "budget": (("config", _budget, True),),
    "finish": (
        ("winner", _or_none(_name), True),
        ("reason", _text, True),
        ("accuracy", _or_none(_number), False),
        ("test_accuracy", _or_none(_number), False),
        ("interval", _or_none(_interval), False),
        ("ties", _names, False),
        ("zone", _zone, False),
        ("probes_paid", _whole, False),
        ("probes_saved", _whole, False),
    ),
}
"""Kind -> (field, what it must be, whether it must be there); others may stand beside them."""
