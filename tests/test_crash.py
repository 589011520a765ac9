"""A study that is stopped at every act on its storage, and resumed, decides as one that was not.

The study lies on a storage that is wrapped (`tests.faults`). Each act of the driver and of its
trials on the storage is a point to stop at three times: before it, in its middle, when half of
the bytes are there, and after it, before anybody learns of it. What stops the study here is an
exception after which nothing more reaches the disk, as with kill -9; real kills are in
`tests/runners/ray` and in `sweep bench crash`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.config.study import StudyConfig
from sweep.core.events import Decided, Event, Observed, Suggested, ZoneMoved
from sweep.core.records import Cost
from sweep.launch import launch
from sweep.log.study_folder import EVENTS, read_log
from sweep.pretraining import journal as journals
from sweep.pretraining import looks, trial
from sweep.replay.verify import verify_study
from sweep.storage.location import locate
from sweep.tables.results import Results
from tests.faults import Act, faulty
from tests.small import small_study

NAME = "small"
ACTS = ("append", "write", "create", "cut", "remove", "make_folder")


def tiny_study(*overrides: str, axes: Mapping[str, list[float]]) -> StudyConfig:
    return small_study(
        "seed=3",
        "train.batch=32",
        "criteria.images=64",
        "criteria.alpha.first=1",
        "criteria.alpha.last=10",
        "resources.heartbeat_seconds=30",
        "resources.checkpoint_seconds=0.001",
        "resources.keep=winner",
        *overrides,
        data={"name": "tests.tiny:clusters"},
        encoder={"name": "tests.tiny:layer"},
        space={"axes": axes},
    )


STUDY = tiny_study(
    "train.epochs=1",
    "criteria.at=[0.5]",
    "budget.probes=5",
    axes={"d": [16], "lambd": [0.005, 0.05, 0.5], "train.lr": [0.03, 0.3, 1.0]},
)
RACE = tiny_study(
    "train.epochs=4",
    "probe.at=[0.25,0.5]",
    "rule.name=race",
    "rule.prior=none",
    axes={"d": [4, 64], "lambd": [0.0005, 0.05, 0.5]},
)


class Killed(BaseException):
    """The process is gone, as far as the disk can tell."""


class Killer:
    """Stops the program once at each point that it comes by; a hook of `faulty`.

    Attributes:
        points: where it was stopped already.
        dead: nothing reaches the disk any more.
    """

    def __init__(self, *, spare: bool = False) -> None:
        self.points: set[tuple[str, ...]] = set()
        self.dead = False
        self._spare = spare
        self._locks: list[contextlib.ExitStack] = []

    def __call__(self, act: Act) -> Any:
        if act.name == "lock":
            return self._held(act.run())
        if act.name not in ACTS:
            return act.run()
        if threading.current_thread() is not threading.main_thread():
            return None  # the heartbeat's, which would outlive the driver that is gone
        if self.dead:
            raise Killed
        point = (act.name, *_about(act))
        self._stop(*point, "before")
        if act.name in ("append", "write") and not self._known(*point, "torn"):
            _half(act)
            self._kill(*point, "torn")
        result = act.run()
        self._stop(*point, "after")
        return result

    def release_locks(self) -> None:
        """Unlock what the program held, as the system does for a process that is gone."""
        for lock in self._locks:
            lock.close()
        self._locks.clear()

    @contextlib.contextmanager
    def _held(self, lock: contextlib.AbstractContextManager[None]) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            held.enter_context(lock)
            self._locks.append(held)
            yield

    def _known(self, *point: str) -> bool:
        return self._spare or point in self.points

    def _stop(self, *point: str) -> None:
        if not self._known(*point):
            self._kill(*point)

    def _kill(self, *point: str) -> None:
        self.points.add(point)
        self.dead = True
        raise Killed


def _about(act: Act) -> Iterator[str]:
    """Name an act: its file, and for the log and the journals what the line says."""
    yield "/".join(act.path.parts[-2:]) if not act.path.name.endswith(".tmp") else "scratch"
    if act.path.suffix == ".jsonl" and act.data:
        line = json.loads(act.data)
        inside = {"observation": "observation", "zone": "zone", "finish": "outcome"}
        fields = line.get(inside.get(line.get("kind"), ""), line)
        words = [line.get("kind"), line.get("trial_id", "")]
        words += [
            fields.get(key)
            for key in ("stage", "step", "action", "lo", "hi", "reason", "begin", "idle")
        ]
        yield json.dumps(words)


def _half(act: Act) -> None:
    path, half = Path(act.path), act.data[: len(act.data) // 2]
    if act.name == "append":
        with path.open("ab") as file:
            file.write(half)
    else:
        path.with_name(f".{path.name}.half.tmp").write_bytes(half)


def play(
    study: StudyConfig, results: Path, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[Any]]:
    """Run a study, and resume it as often as it is stopped.

    Each lap of a trial's clock takes a second, because a rule may weigh seconds, and these differ
    from run to run.

    Returns:
        How often it was stopped, and the stages that ran although the journal held them.
    """
    repeated: list[Any] = []
    place = faulty(locate(results), killer)
    second = Cost(wall_seconds=1.0, device_seconds=1.0)
    monkeypatch.setattr(trial._Stopwatch, "lap", lambda stopwatch: second)
    for stage, function in (("measured", "measure"), ("probed", "probe")):
        real = getattr(looks, function)

        def counted(
            config: Any,
            context: Any,
            *args: Any,
            _real: Any = real,
            _stage: str = stage,
            step: int,
            **named: Any,
        ) -> Any:
            journal = context.folder / journals.JOURNAL
            lines = journal.read_text().splitlines() if journal.exists() else []
            done = [(one["stage"], one["step"]) for one in map(json.loads, lines)]
            if (_stage, step) in done:
                repeated.append((context.folder.name, _stage, step))
            return _real(config, context, *args, step=step, **named)

        monkeypatch.setattr(looks, function, counted)
    stops = 0
    while True:
        try:
            killer.dead = False
            log = results / study.name / EVENTS
            if log.exists() and b"\n" in log.read_bytes():
                launch.resume(place / study.name)
            else:
                launch.run(study, results=place, warn=lambda sentence: None)
        except Killed:
            stops += 1
            killer.release_locks()
        else:
            return stops, repeated


def events(results: Path) -> list[Event]:
    return read_log(locate(results / NAME))


def _unnumbered(event: Decided | ZoneMoved | Suggested) -> Decided | ZoneMoved | Suggested:
    event = replace(event, seq=0, time=0.0, answers_seq=0)
    return replace(event, attempt=0) if isinstance(event, Decided) else event


def decided(results: Path) -> list[Decided | ZoneMoved | Suggested]:
    """Return every verdict, move of the zone and beginning, in order; seqs differ."""
    return [
        _unnumbered(event)
        for event in events(results)
        if isinstance(event, Decided | ZoneMoved | Suggested)
    ]


def rows(results: Path) -> list[dict[str, Any]]:
    columns = ["trial_id", "status", "loss", "alpha", "rankme", "accuracy", "winner"]
    columns += ["test_accuracy", "checkpoint"]
    return list(Results(results / NAME).trials.select(columns).to_pylist())


@pytest.mark.parametrize(
    ("study", "least", "kinds"),
    [
        (STUDY, 500, {"continue", "hold", "stop"}),
        (RACE, 350, {"continue", "hold", "stop", "begin"}),
    ],
    ids=["paper", "race"],
)
def test_a_study_stopped_at_every_act_decides_as_one_that_was_not(
    study: StudyConfig,
    least: int,
    kinds: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    play(study, whole, Killer(spare=True), monkeypatch)
    monkeypatch.undo()
    killer = Killer()
    stops, repeated = play(study, cut, killer, monkeypatch)
    monkeypatch.undo()
    assert stops == len(killer.points) >= least
    assert decided(cut) == decided(whole)
    assert repeated == []
    assert json.dumps(rows(cut)).replace("/cut/", "/whole/") == json.dumps(rows(whole))
    seen = Counter(
        (event.trial_id, event.observation.stage, event.observation.step)
        for event in events(cut)
        if isinstance(event, Observed)
    )
    assert set(seen.values()) == {1}
    assert [event.kind for event in events(cut)].count("finish") == 1
    assert verify_study(locate(cut / study.name)).difference is None
    actions = {event.action for event in decided(cut) if isinstance(event, Decided)}
    begun = {"begin" for event in decided(cut) if isinstance(event, Suggested) and event.begin}
    assert kinds == actions | begun
    left = {path.name for path in (cut / study.name).rglob(".*.tmp")}
    assert not left
