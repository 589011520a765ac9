"""Weights go when their candidate is decided, once, and the winner's stay."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import Resumable
from sweep.core.events import EncoderDropped
from sweep.core.history import History
from sweep.core.records import Decision, Measure, Observation, Verdict
from sweep.launch.retention import Keeper
from sweep.log.log import MemoryLog
from sweep.storage.location import Location
from sweep.study import Study
from tests.faults import Act, faulty
from tests.small import small_study

TRIALS = ("low", "high", "higher")
WEIGHTS = ["encoder.json", "encoder.safetensors"]


class Killed(BaseException):
    """As a kill would come: nobody catches it."""


def rule(history: History) -> Decision:
    """Stop whoever's alpha is below 1."""
    alphas = history.column("alpha")
    verdicts = tuple(
        Verdict(
            trial_id=history.trial_ids[row],
            action="stop" if alphas[row] < 1 else "continue",
            reason="told",
        )
        for row in history.waiting
    )
    return Decision(zone=history.zone, verdicts=verdicts)


def measured(alpha: float) -> Observation:
    return Observation(stage="measured", step=1, measures=(Measure(name="alpha", value=alpha),))


def begin(root: Location, config: StudyConfig, log: MemoryLog) -> tuple[Study, Keeper]:
    """Return a study of three trained models, whoever drove it before."""
    study = Study(rule=rule, log=log)
    keeper = Keeper(study, config, root)
    study.listen(keeper)
    for trial_id in TRIALS:
        if trial_id not in study.history:
            for name in WEIGHTS:
                (root / "trials" / trial_id).make_folder()
                (root / "trials" / trial_id / name).write(b"weights")
            study.add(trial_id, {}, {})
            study.start(trial_id)
    return study, keeper


def decide(study: Study) -> None:
    for alpha, trial_id in enumerate(TRIALS):
        study.observe(trial_id, measured(float(alpha)))
    for alpha, trial_id in enumerate(TRIALS[1:]):
        accuracy = Measure(name="accuracy", value=0.5 + alpha / 10)
        study.observe(trial_id, Observation(stage="probed", step=1, measures=(accuracy,)))


def kept(root: Location) -> list[str]:
    return [name for name in TRIALS if (root / "trials" / name).names() == WEIGHTS]


def dropped(study: Study) -> list[str]:
    return [event.trial_id for event in study.events() if isinstance(event, EncoderDropped)]


@pytest.mark.parametrize(
    ("keep", "then", "last"),
    [
        ("all", TRIALS, TRIALS),
        ("probed", ("high", "higher"), ("high", "higher")),
        ("winner", ("high", "higher"), ("higher",)),
    ],
)
def test_weights_are_kept_as_the_config_says(
    root: Location, keep: str, then: tuple[str, ...], last: tuple[str, ...]
) -> None:
    study, keeper = begin(root, small_study(f"resources.keep={keep}"), MemoryLog())
    decide(study)
    assert kept(root) == list(then)
    keeper.finish("higher")
    keeper.finish("higher")
    assert kept(root) == list(last)
    assert sorted(dropped(study)) == sorted(set(TRIALS) - set(last))


@pytest.mark.parametrize("deeds", [0, 1])
def test_what_a_crash_leaves_between_event_and_deed_is_removed_and_told_once(
    root: Location, deeds: int
) -> None:
    config, log = small_study("resources.keep=winner"), MemoryLog()
    left = iter(range(1 + deeds))  # the first removes the training's state

    def dying(act: Act) -> Any:
        if act.name == "remove" and next(left, None) is None:
            raise Killed
        return act.run()

    study, _ = begin(faulty(root, dying), config, log)
    with pytest.raises(Killed):
        decide(study)
    assert dropped(study) == ["low"]
    study, keeper = begin(root, config, MemoryLog(log.read()))
    decide(study)
    keeper.finish("higher")
    assert kept(root) == ["higher"]
    assert (root / "trials" / "low").names() == []
    assert sorted(dropped(study)) == ["high", "low"]


def test_storage_that_refuses_is_a_sentence(root: Location) -> None:
    def refuse(act: Act) -> Any:
        if act.name == "remove":
            raise OSError(30, "Read-only file system")
        return act.run()

    study, _ = begin(faulty(root, refuse), small_study(), MemoryLog())
    with pytest.raises(Resumable, match=r"low cannot be written: Read-only file system\. Put that"):
        decide(study)
