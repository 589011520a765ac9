"""Hand-made histories for tests: events of a study without any training."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.core.records import Action, Measure, Observation
from sweep.log.log import MemoryLog
from sweep.rules import Rule
from sweep.study import Study


def measured(alpha: float | None) -> Observation:
    """The end of pretraining, with an alpha or a degenerate one."""
    status = "ok" if alpha is not None else "degenerate"
    detail = {} if alpha is not None else {"reason": "rank 1"}
    measure = Measure(name="alpha", value=alpha, status=status, detail=detail)  # type: ignore[arg-type]
    return Observation(stage="measured", step=10, measures=(measure,))


def probed(accuracy: float) -> Observation:
    """A probe's result on 1,000 images."""
    measure = Measure(name="accuracy", value=accuracy, detail={"images": 1000})
    return Observation(stage="probed", step=10, measures=(measure,))


def study_of(rule: Rule, count: int, **fields: object) -> Study:
    """A study of trials t0, t1, ... in that order."""
    study = Study(rule=rule, log=MemoryLog(), clock=lambda: 0.0, **fields)  # type: ignore[arg-type]
    for number in range(count):
        study.add(f"t{number}", {"d": number + 1}, {})
    return study


def measure_all(study: Study, alphas: Sequence[float | None]) -> list[Action]:
    """Pretrain and measure trials in order, probing nothing; return what each is told."""
    actions = []
    for number, alpha in enumerate(alphas):
        study.start(f"t{number}")
        actions.append(study.observe(f"t{number}", measured(alpha)))
    return actions


def play(study: Study, alphas: Sequence[float | None], accuracies: Sequence[float]) -> list[str]:
    """Run a whole study one trial at a time; return who was probed, in order."""
    order = []
    while (trial_id := study.next()) is not None:
        number = int(trial_id[1:])
        study.start(trial_id)
        action = study.observe(trial_id, measured(alphas[number]))
        if action == "continue":
            study.observe(trial_id, probed(accuracies[number]))
            order.append(trial_id)
    return order
