"""Logs of made-up studies for reports: looks, pauses, failures, spectra, and hostile texts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sweep.config.study import StudyConfig, digest
from sweep.core.codec import encode
from sweep.core.events import (
    CandidateAdded,
    Decided,
    Event,
    Observed,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    TrialFailed,
    TrialStarted,
)
from sweep.core.failures import Failure
from sweep.core.outcome import wilson
from sweep.core.records import Action, Cost, Measure, Observation, Outcome, Stage, Zone
from sweep.log.study_folder import EVENTS
from sweep.report.study import StudyData, read
from sweep.tables.results import Results

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"> ' [0].x \\ \u202e"
"""Ends a script, runs code where it is taken for HTML, and breaks a careless expression."""
ZONE = Zone(lo=0.7, hi=1.6, through=9)
IMAGES = 5000


def study(folder: Path, *, trials: int = 24, name: str = "made", ended: bool = True) -> StudyData:
    """Write the log of a study and return what a report shows of it."""
    return read(Results(write(folder, trials=trials, name=name, ended=ended)))


def write(folder: Path, *, trials: int = 24, name: str = "made", ended: bool = True) -> Path:
    """Write the log of a study and return its folder.

    Args:
        folder: of the studies.
        trials: every third is trained to its end, the fourth of each eight fails once, the last
            fails for good, and one is held.
        name: of the study.
        ended: False if its driver still runs.
    """
    made = folder / name
    made.mkdir(parents=True)
    events = _events(name, trials)
    kept = events if ended else [e for e in events if not isinstance(e, StudyFinished)]
    (made / EVENTS).write_bytes(b"".join(encode(event) for event in kept))
    return made


def _events(name: str, trials: int) -> list[Event]:
    config = StudyConfig(name=name).model_dump(mode="json")
    config["options"] = {HOSTILE: HOSTILE}
    began = StudyBegan(
        name=name, config=config, config_digest=digest(config), data_digest="", created=0.0,
        versions={"torch": "2.15"}, commit=None,
    )  # fmt: skip
    session = SessionBegan(host="h", runner="ray", device="cpu", workers=2)
    rng = np.random.default_rng(0)
    points = [
        {"d": int(2 ** (4 + i % 4)), "lambd": float(10 ** -(i % 5)),
         "encoder.name": HOSTILE if i % 2 else "small_conv"}
        for i in range(trials)
    ]  # fmt: skip
    added = [
        CandidateAdded(trial_id=_id(i), point=point, config=config, index=i)
        for i, point in enumerate(points)
    ]
    per_trial = [list(_trial(i, points[i], rng, last=i == trials - 1)) for i in range(trials)]
    accuracies = {
        event.trial_id: measure.value
        for events in per_trial
        for event in events
        if isinstance(event, Observed) and event.observation.final
        if (measure := event.observation.measure("accuracy")) and measure.value
    }
    winner = max(accuracies, key=lambda trial_id: accuracies[trial_id])
    finished = StudyFinished(
        outcome=Outcome(
            winner=winner, accuracy=accuracies[winner],
            interval=wilson(accuracies[winner], IMAGES), ties=(), zone=ZONE,
            probes_paid=len(accuracies), probes_saved=1, reason="every candidate is decided",
        )
    )  # fmt: skip
    story: list[Event] = [event for events in per_trial for event in events]
    every: list[Event] = [began, session, *added, *story, finished]
    return [replace(event, seq=seq, time=1000.0 + 10 * seq) for seq, event in enumerate(every)]


def _id(number: int) -> str:
    return f"{number:010x}"


def _trial(
    number: int, point: dict[str, Any], rng: np.random.Generator, *, last: bool
) -> Iterator[Event]:
    trial_id = _id(number)
    alpha = 0.6 + 0.25 * -math.log10(point["lambd"]) + float(rng.normal(0, 0.02))
    accuracy = 0.6 - 0.2 * (alpha - 1.1) ** 2 + float(rng.normal(0, 0.005))

    def observed(stage: Stage, fraction: float, *measures: Measure, **detail: Any) -> Event:
        cost = Cost(wall_seconds=8.0, device_seconds=8.0)
        observation = Observation(
            stage=stage, step=round(100 * fraction), fraction=fraction, measures=measures,
            cost=cost, detail=detail,
        )  # fmt: skip
        return Observed(trial_id=trial_id, attempt=1, observation=observation)

    def decided(action: Action) -> Event:
        return Decided(
            trial_id=trial_id, attempt=1, action=action, reason=f"because {HOSTILE}", zone=ZONE,
            answers_seq=0,
        )  # fmt: skip

    def probed(fraction: float) -> Event:
        share = accuracy * (1 - 0.3 * math.exp(-3 * fraction))
        detail = {"images": IMAGES, "standard_error": math.sqrt(share * (1 - share) / IMAGES)}
        measure = Measure(name="accuracy", value=share, detail=detail)
        return observed("probed", fraction, measure, classes=10)

    odd = Measure(name=HOSTILE, value=1.0 + number)
    yield TrialStarted(trial_id=trial_id, attempt=1)
    if number % 8 == 3 or last:
        failure = Failure(error=f"RuntimeError: {HOSTILE}", cause="out of memory")
        yield TrialFailed(trial_id=trial_id, attempt=1, failure=failure, final=last)
        if last:
            return
        yield TrialStarted(trial_id=trial_id, attempt=2)
    yield observed("pretrain", 0.2, Measure(name="loss", value=9.0 + number), odd)
    yield probed(0.25)
    if number % 3:
        yield decided("stop")
        return
    yield observed("trained", 1.0, Measure(name="loss", value=5.0 + number), odd)
    fit = {"r2": 0.98, "first": 4, "last": 60}
    spectrum = [float(f"{30 * rank**-alpha:.6g}") for rank in range(1, 129)]
    measured = (
        Measure(name="alpha", value=alpha, detail=fit),
        Measure(name="rankme", value=90 / alpha),
    )
    yield observed("measured", 1.0, *measured, spectrum=spectrum)
    if number == 6:
        yield decided("hold")
        return
    yield decided("continue")
    yield probed(1.0)
