"""What a line of a log must hold before it is believed."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from sweep.core.codec import MOST_LEVELS, decode, decode_observation, encode
from sweep.core.events import (
    BudgetChanged,
    CandidateAdded,
    Decided,
    EncoderDropped,
    Event,
    Idled,
    Observed,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    Suggested,
    TrialEvent,
    TrialFailed,
    TrialStarted,
    ZoneMoved,
)
from sweep.core.failures import Failure
from sweep.core.records import Cost, Measure, Observation, Outcome, Zone

ZONE = Zone(lo=None, hi=1.5, through=3, note="one hump")
SEEN = Observation(
    stage="measured",
    step=3,
    fraction=0.5,
    measures=(Measure(name="alpha", value=1.0, fatal=True, detail={"r2": 0.9}),),
    cost=Cost(wall_seconds=1.5, device_seconds=3.0),
    detail={"spectrum": [2.0, 1.0]},
)
OUTCOME = Outcome(
    winner="t0", accuracy=0.5, interval=(0.4, 0.6), ties=("t1",), zone=ZONE, probes_paid=2,
    probes_saved=1, reason="x",
)  # fmt: skip
EXAMPLES: list[Event] = [
    StudyBegan(
        seq=0, name="x", config={"a": {"b": 1}}, config_digest="1", data_digest="2", path="/p",
        created=1.0, commit=None, versions={"torch": "2"},
    ),
    SessionBegan(seq=1, time=1.5, host="h", pid=3, runner="ray", device="cpu", workers=2),
    CandidateAdded(
        seq=2, trial_id="t0", config={}, index=0,
        point={"d": 1, "tag": "x", "yes": True, "odd": [None], "none": None},
    ),
    TrialStarted(seq=3, trial_id="t0", attempt=1, worker="w", log=None),
    Observed(seq=4, trial_id="t0", attempt=1, observation=SEEN),
    Decided(
        seq=5, trial_id="t0", action="hold", reason="x", chance=0.1, zone=ZONE, answers_seq=4
    ),
    ZoneMoved(seq=6, zone=ZONE, answers_seq=4),
    EncoderDropped(seq=7, trial_id="t0"),
    TrialFailed(
        seq=8, trial_id="t0", failure=Failure(error="x", cause="hang", traceback="t"), final=True
    ),
    Idled(seq=9, reason="x"),
    BudgetChanged(seq=10, config={"budget": {"probes": 3}}),
    Suggested(seq=11, begin=None, idle="x", answers_seq=10),
    StudyFinished(seq=12, outcome=OUTCOME, test_accuracy=None),
]  # fmt: skip
KINDS = [event.kind for event in EXAMPLES]
LINES: dict[str, dict[str, Any]] = {event.kind: json.loads(encode(event)) for event in EXAMPLES}


def line(kind: str, changes: dict[str, Any]) -> bytes:
    return json.dumps({**LINES[kind], **changes}).encode()


@pytest.mark.parametrize("event", EXAMPLES, ids=KINDS)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    assert decode(encode(event)) == event
    assert encode(decode(encode(event))) == encode(event)
    assert decode(line(event.kind, {"more": [1e999]})) == event, "other fields are left out"


def test_every_type_of_event_has_an_example() -> None:
    union, _ = get_args(Event)
    assert {type(event) for event in EXAMPLES} == set(get_args(union))
    assert len(set(KINDS)) == len(KINDS)


@pytest.mark.parametrize("event", EXAMPLES, ids=KINDS)
def test_a_field_that_is_missing_or_of_another_type_is_named(event: Event) -> None:
    for field in fields(event):
        if field.name == "kind":
            continue
        rest = {key: value for key, value in LINES[event.kind].items() if key != field.name}
        with pytest.raises(ValueError, match=rf"^{event.kind}\.{field.name} is missing$"):
            decode(json.dumps(rest).encode())
        with pytest.raises(ValueError, match=rf"^{event.kind}\.{field.name}.* is inf, "):
            decode(line(event.kind, {field.name: float("inf")}))


@pytest.mark.parametrize("path", ["observation", "observation.cost", "observation.measures.0"])
def test_a_field_that_is_missing_deeper_inside_is_named(path: str) -> None:
    whole: Any = json.loads(encode(EXAMPLES[4]))
    for name in json.loads(encode(SEEN)) if path == "observation" else ["x"]:
        tree = json.loads(json.dumps(whole))
        part = tree
        for step in path.split("."):
            part = part[int(step) if step.isdigit() else step]
        lost = name if name in part else min(part)
        del part[lost]
        with pytest.raises(ValueError, match=rf"^observation\.{path}\.{lost} is missing$"):
            decode(json.dumps(tree).encode())


ALPHA = LINES["observation"]["observation"]["measures"][0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"step": -1}, "step is -1, but must be >= 0"),
        ({"step": True}, "step is True"),
        ({"step": 1.0}, "step is 1.0"),
        ({"step": 2**63}, "step is 9223372036854775808, but must be < 9.22337e+18"),
        ({"fraction": 1.5}, "fraction is 1.5, but must be <= 1"),
        ({"fraction": float("nan")}, "fraction is nan"),
        ({"stage": ["measured"]}, "stage is ['measured']"),
        ({"measures": [{"name": "alpha"}]}, "measures.0.value is missing"),
        ({"measures": [{**ALPHA, "value": None}]}, "measure alpha: value None with status ok"),
        ({"measures": [{**ALPHA, "value": 10**400}]}, "measures.0.value is 1"),
        (
            {"measures": [{**ALPHA, "value": 1e200}]},
            "measures.0.value is 1e+200, but must be < 1e+150",
        ),
        ({"measures": [{**ALPHA, "value": True}]}, "measures.0.value is True"),
        ({"measures": [{**ALPHA, "status": {}}]}, "measures.0.status is {}"),
        ({"measures": [{**ALPHA, "more": 1}]}, "measures.0.more is 1"),
        ({"cost": {"wall_seconds": 1.0}}, "cost.device_seconds is missing"),
        ({"cost": {"wall_seconds": 1.0, "device_seconds": -1.0}}, "device_seconds is -1.0"),
    ],
)
def test_an_impossible_observation_is_refused(changes: dict[str, Any], why: str) -> None:
    observation = {**LINES["observation"]["observation"], **changes}
    with pytest.raises(ValueError, match=re.escape(why)):
        decode(line("observation", {"observation": observation}))
    with pytest.raises(ValueError, match=re.escape(why)):
        decode_observation(json.dumps(observation).encode())


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        ("candidate", {"point": {"d": 10**200}}, "d must be finite and below 1e+150"),
        ("candidate", {"point": {"d": float("nan")}}, "d must be finite and below 1e+150"),
        ("verdict", {"zone": {**LINES["zone"]["zone"], "lo": "x"}}, "zone.lo is 'x'"),
        ("verdict", {"action": "probe"}, "action is 'probe'"),
        ("study", {"name": "../x"}, "name is '../x'"),
        ("study", {"name": "x\n"}, r"name is 'x\n'"),
        ("budget", {"config": {"budget": 3}}, "its budget must be a table"),
        ("finish", {"outcome": {**LINES["finish"]["outcome"], "winner": "/etc"}}, "is '/etc'"),
        ("finish", {"outcome": {**LINES["finish"]["outcome"], "ties": ["/etc"]}}, "is '/etc'"),
        ("finish", {"outcome": {**LINES["finish"]["outcome"], "interval": [0.1]}}, "interval"),
        ("finish", {"outcome": {**LINES["finish"]["outcome"], "accuracy": "high"}}, "'high'"),
        ("finish", {"outcome": {}}, "outcome.winner is missing"),
        ("start", {"kind": "party"}, "'party'"),
        ("start", {"kind": ["start"]}, "'start'"),
        ("start", {"seq": "0"}, "seq is '0'"),
        ("start", {"seq": -1}, "seq is -1"),
        ("start", {"time": float("inf")}, "time is inf"),
        ("start", {"attempt": -1}, "attempt is -1"),
        ("start", {"trial_id": ""}, "trial_id is ''"),
        ("start", {"trial_id": "a/b"}, "trial_id is 'a/b'"),
        ("start", {"trial_id": 3}, "trial_id is 3"),
    ],
)
def test_an_impossible_value_is_refused(kind: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        decode(line(kind, changes))


@pytest.mark.parametrize("data", [b"", b"\n", b"[]", b"1", b"null", b"{", b"\xff", b"{}"])
def test_a_line_that_holds_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"Invalid JSON|should be an object|EOF|discriminator"):
        decode(data)


def test_an_event_that_no_study_recorded_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="seq is -1"):
        decode(encode(Idled(reason="x")))


def test_a_line_that_is_nested_too_deeply_is_refused() -> None:
    def nested(depth: int) -> bytes:
        return line("start", {"more": 0}).replace(
            b'"more": 0', b'"x":' + b"[" * depth + b"]" * depth
        )

    assert isinstance(decode(nested(MOST_LEVELS - 1)), TrialEvent)
    for depth in (MOST_LEVELS, 150, 100_000):
        with pytest.raises(ValueError, match=r"^it is nested more than 100 deep$"):
            decode(nested(depth))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(
        (ValueError, TypeError), match=r"JSON compliant|JSON cannot hold a (set|object)"
    ):
        encode(Observed(trial_id="t", observation=Observation(stage="probed", step=1,
                                                               detail={"x": value})))  # fmt: skip


def started(worker: str) -> Event:
    return TrialStarted(seq=0, time=0.0, trial_id="t", worker=worker)


def test_an_event_is_one_line_of_ascii() -> None:
    line = encode(started("a\u2028b\nc \U0001f600 \\udcff"))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode(line) == started("a\u2028b\nc \U0001f600 \\udcff")


def test_what_utf_8_cannot_hold_becomes_a_question_mark() -> None:
    assert decode(encode(started("/logs/\udcff\ud800\\.txt"))) == started("/logs/??\\.txt")
