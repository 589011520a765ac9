"""A study that is stopped at every act on its storage, and resumed, decides as one that was not.

Each act (`sweep.storage.disk`) of the driver and of its trials is a point to stop at three times:
before it, in its middle, when half of the bytes are there, and after it, before anybody learns
of it. What stops the study here is an exception after which nothing more reaches the disk, as
with kill -9; real kills are in `tests/runners/ray` and in `sweep bench crash`.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from sweep.core.records import Event
from sweep.launch import launch
from sweep.log import file_log as store
from sweep.pretraining import trial
from sweep.storage import disk as files
from sweep.tables.results import Results
from tests.small import small_study

ACTS = ("append", "write", "create", "cut", "remove", "make")
STUDY = small_study(
    "seed=3",
    "train.epochs=1",
    "train.batch=32",
    "criteria.at=[0.5]",
    "criteria.images=64",
    "criteria.first=1",
    "criteria.last=10",
    "resources.heartbeat_seconds=30",
    "resources.checkpoint_seconds=0.001",
    "resources.keep=winner",
    "budget.probes=5",
    data={"name": "tests.tiny:clusters"},
    encoder={"name": "tests.tiny:layer"},
    space={"axes": {"d": [16], "lambd": [0.005, 0.05, 0.5], "train.lr": [0.03, 0.3, 1.0]}},
)


class Killed(BaseException):
    """The process is gone, as far as the disk can tell."""


class Killer:
    """Stops the program once at each point that it comes by.

    Attributes:
        points: where it was stopped already.
        dead: nothing reaches the disk any more.
    """

    def __init__(self, *, spare: bool = False) -> None:
        self.points: set[tuple[str, ...]] = set()
        self.dead = False
        self._spare = spare

    def wrap(self, name: str) -> Callable[..., Any]:
        real = getattr(files, name)

        def act(place: Path, *given: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return None  # the heartbeat's, which would outlive the driver that is gone
            if self.dead:
                raise Killed
            point = (name, *_what(place, given))
            self._stop(*point, "before")
            if name in ("append", "write") and not self._known(*point, "torn"):
                _half(name, place, given[0])
                self._kill(*point, "torn")
            result = real(place, *given, **named)
            self._stop(*point, "after")
            return result

        return act

    def _known(self, *point: str) -> bool:
        return self._spare or point in self.points

    def _stop(self, *point: str) -> None:
        if not self._known(*point):
            self._kill(*point)

    def _kill(self, *point: str) -> None:
        self.points.add(point)
        self.dead = True
        raise Killed


def _what(place: Path, given: tuple[Any, ...]) -> Iterator[str]:
    """Name an act: its file, and of the log and the journals what the line tells."""
    yield "/".join(place.parts[-2:]) if not place.name.endswith(".tmp") else "scratch"
    if place.suffix == ".jsonl" and given and isinstance(given[0], bytes) and given[0]:
        said = json.loads(given[0])
        payload = said.get("payload", said)
        told = [said.get("kind"), said.get("trial_id")]
        told += [payload.get(key) for key in ("stage", "step", "action", "lo", "hi", "reason")]
        yield json.dumps(told)


def _half(name: str, place: Path, data: bytes) -> None:
    half = bytes(data)[: len(data) // 2]
    if name == "append":
        with place.open("ab") as file:
            file.write(half)
    else:
        place.with_name(f".{place.name}.half.tmp").write_bytes(half)


def play(results: Path, killer: Killer, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[Any]]:
    """Run the study, and resume it as often as it is stopped.

    Returns:
        How often it was stopped, and the stages that ran although the journal held them.
    """
    repeated: list[Any] = []
    for name in ACTS:
        monkeypatch.setattr(files, name, killer.wrap(name))
    for stage, function in (("measured", "_measure"), ("probed", "_probed")):
        real = getattr(trial, function)

        def counted(
            config: Any,
            context: Any,
            *args: Any,
            _real: Any = real,
            _stage: str = stage,
            step: int,
            **named: Any,
        ) -> Any:
            journal = context.folder / trial.JOURNAL
            lines = journal.read_text().splitlines() if journal.exists() else []
            done = [(one["stage"], one["step"]) for one in map(json.loads, lines)]
            if (_stage, step) in done:
                repeated.append((context.folder.name, _stage, step))
            return _real(config, context, *args, step=step, **named)

        monkeypatch.setattr(trial, function, counted)
    taken: list[filelock.BaseFileLock] = []
    acquire = filelock.BaseFileLock.acquire

    def noted(lock: filelock.BaseFileLock, *given: Any, **named: Any) -> Any:
        taken.append(lock)
        return acquire(lock, *given, **named)

    monkeypatch.setattr(filelock.BaseFileLock, "acquire", noted)
    stops = 0
    while True:
        try:
            killer.dead = False
            log = results / STUDY.name / store.EVENTS
            if log.exists() and b"\n" in log.read_bytes():
                launch.resume(results / STUDY.name)
            else:
                launch.run(STUDY, results=results, warn=lambda sentence: None)
        except Killed:
            stops += 1
            for lock in taken:  # as the system does for a process that is gone
                lock.release(force=True)
            taken.clear()
        else:
            return stops, repeated


def events(results: Path) -> list[Event]:
    return store.read(results / STUDY.name / store.EVENTS)[0]


def decided(results: Path) -> list[tuple[Any, ...]]:
    """Return every verdict and move of the zone, in order; events are numbered otherwise."""
    return [
        (event.kind, event.trial_id, {**event.payload, "answers_seq": None})
        for event in events(results)
        if event.kind in ("verdict", "zone")
    ]


def rows(results: Path) -> list[dict[str, Any]]:
    columns = ["trial_id", "status", "loss", "alpha", "rankme", "accuracy", "winner"]
    columns += ["test_accuracy", "checkpoint"]
    return list(Results(results / STUDY.name).trials.select(columns).to_pylist())


def test_a_study_stopped_at_every_act_decides_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    play(whole, Killer(spare=True), monkeypatch)
    monkeypatch.undo()
    killer = Killer()
    stops, repeated = play(cut, killer, monkeypatch)
    monkeypatch.undo()
    assert stops == len(killer.points) >= 300
    assert decided(cut) == decided(whole)
    assert repeated == []
    assert json.dumps(rows(cut)).replace("/cut/", "/whole/") == json.dumps(rows(whole))
    seen = Counter(
        (event.trial_id, event.payload["stage"], event.payload["step"])
        for event in events(cut)
        if event.kind == "observation"
    )
    assert set(seen.values()) == {1}
    assert [event.kind for event in events(cut)].count("finish") == 1
    actions = {payload.get("action") for _, _, payload in decided(cut)}
    assert {"continue", "hold", "stop"} <= actions
    left = {path.name for path in (cut / STUDY.name).rglob(".*.tmp")}
    assert not left
