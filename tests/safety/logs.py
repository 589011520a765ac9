"""A small study whose log can be forged; its trials train nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sweep.config.study import StudyConfig, TrialConfig
from sweep.core.records import Measure, Observation
from sweep.launch import launch
from sweep.log.study_folder import EVENTS
from sweep.pretraining.context import Context


def idle(config: TrialConfig, context: Context) -> Iterator[Observation]:
    """Yield every kind of observation that a log may hold, without training."""
    number = int(config.options["number"])
    yield Observation(stage="pretrain", step=1, fraction=0.5, detail={"device": "cpu"})
    loss = Measure(name="loss", value=1.0)
    yield Observation(stage="trained", step=2, measures=(loss,), detail={"checkpoint": "x"})
    fit = {"r2": 0.9, "first": 4, "last": 100, "images": 500}
    alpha = Measure(name="alpha", value=0.5 + number / 10, detail=fit)
    yield Observation(stage="measured", step=2, measures=(alpha,), detail={"spectrum": [2.0, 1.0]})
    accuracy = Measure(name="accuracy", value=number / 10, detail={"images": 200})
    yield Observation(stage="probed", step=2, measures=(accuracy,))


def small(results: Path, *, name: str = "small", count: int = 4) -> Path:
    """Run a study of `count` trials of `idle`; return its folder."""
    config = StudyConfig.model_validate(
        {
            "name": name,
            "trial": "tests.safety.logs:idle",
            "space": {"axes": {"options.number": list(range(1, count + 1))}},
            "rule": {"name": "all"},
            "resources": {"runner": "local"},
        }
    )
    launch.run(config, results=results, warn=lambda sentence: None)
    return results / name


Lines = list[dict[str, Any]]


def forge(folder: Path, change: Callable[[Lines], Any]) -> None:
    """Change the events of a study's log, renumber them, and delete the study's tables."""
    path = folder / EVENTS
    events: Lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(events)
    for seq, event in enumerate(events):
        event["seq"] = seq
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    for table in (folder / "tables").glob("*"):
        table.unlink()
