"""What a line of a log must hold before it is believed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sweep.core.records import Measure, Observation
from sweep.log.codec import decode
from sweep.log.validate import _PAYLOADS, DEEPEST, OF_TRIALS

ZONE = {"lo": None, "hi": 1.5, "through": 3}
SEEN = Observation(
    stage="measured", step=3, measures=(Measure(name="alpha", value=1.0, detail={"r2": 0.9}),)
).to_json()
WHOLE: dict[str, dict[str, Any]] = {
    "study": {
        "name": "x", "config": {}, "config_digest": "", "data_digest": "", "versions": {},
        "commit": None, "created": 1.0,
    },
    "session": {},
    "candidate": {"point": {"d": 1, "tag": "x", "odd": [None]}, "config": {}, "index": 0},
    "start": {},
    "observation": SEEN,
    "verdict": {"action": "hold", "reason": "x", "zone": ZONE, "answers_seq": 3},
    "zone": {**ZONE, "note": "", "answers_seq": 3},
    "dropped": {},
    "failure": {"error": "x", "final": False},
    "idle": {"reason": "x"},
    "budget": {"config": {"budget": {}}},
    "finish": {"winner": None, "reason": "x"},  # and the rest of an outcome, which may be missing
}  # fmt: skip


def line(kind: str, payload: Any, fields: dict[str, Any] | None = None) -> bytes:
    trial_id = "t0" if kind in OF_TRIALS else ""
    event = {"seq": 0, "time": 1.0, "kind": kind, "trial_id": trial_id, "attempt": 0}
    return json.dumps({**event, "payload": payload, **(fields or {})}).encode()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_drivers_event_is_believed_with_whatever_stands_beside_it(kind: str) -> None:
    assert decode(line(kind, WHOLE[kind])).payload == WHOLE[kind]
    assert decode(line(kind, {**WHOLE[kind], "more": [1e999]})).kind == kind


def test_every_kind_of_event_is_known() -> None:
    assert WHOLE.keys() == _PAYLOADS.keys()


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_missing_or_of_another_type_is_named(kind: str) -> None:
    for name in WHOLE[kind]:
        rest = {key: value for key, value in WHOLE[kind].items() if key != name}
        if name != "note":
            with pytest.raises(ValueError, match=f"the event {kind!r} lacks {name!r}"):
                decode(line(kind, rest))
        with pytest.raises(ValueError, match=f"{name!r} of the event {kind!r} cannot be "):
            decode(line(kind, {**rest, name: float("inf")}))
    with pytest.raises(ValueError, match=rf"the payload of the event {kind!r} is \[\]"):
        decode(line(kind, []))


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        ("observation", {"step": -1}, "cannot be -1"),
        ("observation", {"step": True}, "cannot be True"),
        ("observation", {"step": 2**63}, "cannot be 9223372036854775808"),
        ("observation", {"fraction": 1.5}, "cannot be 1.5"),
        ("observation", {"fraction": float("nan")}, "cannot be nan"),
        ("observation", {"stage": ["measured"]}, "cannot be ['measured']"),
        ("observation", {"measures": [{"name": "alpha"}]}, "cannot be [{'name': 'alpha'}]"),
        ("observation", {"measures": [{**SEEN["measures"][0], "value": None}]}, "'measures'"),
        ("observation", {"measures": [{**SEEN["measures"][0], "value": 10**400}]}, "'measures'"),
        ("observation", {"measures": [{**SEEN["measures"][0], "status": {}}]}, "'measures'"),
        ("observation", {"cost": {"wall_seconds": 1.0}}, "'cost'"),
        ("observation", {"cost": {"wall_seconds": 1.0, "device_seconds": -1.0}}, "'cost'"),
        ("candidate", {"point": {"d": 10**200}}, "'point'"),
        ("verdict", {"zone": {"lo": "x", "hi": None, "through": 0}}, "'zone'"),
        ("verdict", {"action": "probe"}, "cannot be 'probe'"),
        ("study", {"name": "../x"}, "cannot be '../x'"),
        ("finish", {"winner": "/etc"}, "cannot be '/etc'"),
        ("finish", {"ties": ["/etc"]}, "cannot be ['/etc']"),
        ("finish", {"interval": [0.1]}, "cannot be [0.1]"),
        ("finish", {"accuracy": "high"}, "cannot be 'high'"),
    ],
)
def test_what_nobody_could_reckon_with_is_refused(
    kind: str, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        decode(line(kind, {**WHOLE[kind], **changes}))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "party"}, "no event is a 'party'"),
        ({"kind": ["start"]}, r"no event is a \['start'\]"),
        ({"seq": "0"}, "are not all numbers"),
        ({"time": float("inf")}, "are not all numbers"),
        ({"attempt": -1}, "are not all numbers"),
        ({"trial_id": ""}, "no trial is named ''"),
        ({"trial_id": "a/b"}, "no trial is named 'a/b'"),
        ({"trial_id": 3}, "no trial is named 3"),
        ({"kind": "idle", "payload": {"reason": ""}}, "is about no trial"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_an_event_of_another_shape_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(line("start", {}, fields))


def test_what_is_nested_too_deeply_is_refused() -> None:
    def nested(depth: int) -> bytes:
        return line("start", {}).replace(b"{}", b'{"x":' + b"[" * depth + b"]" * depth + b"}")

    assert decode(nested(DEEPEST - 1)).kind == "start"
    with pytest.raises(ValueError, match="is nested more than 100 deep"):
        decode(nested(DEEPEST + 1))
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(nested(100_000))
