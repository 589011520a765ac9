"""A trial that trains nothing; it fails for one value of its option."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.config.study import TrialConfig
from sweep.core.records import Measure, Observation
from sweep.pretraining.context import Context


def idle(config: TrialConfig, context: Context) -> Iterator[Observation]:
    """Yield every kind of observation that a log may hold; fail if the option `number` is 3."""
    number = config.options.get("number", 0)
    number = number if isinstance(number, int) else 5
    if number == 3:
        raise ValueError("three")
    yield Observation(stage="pretrain", step=1, fraction=0.5, detail={"device": "cpu"})
    loss = Measure(name="loss", value=1.0)
    yield Observation(stage="trained", step=2, measures=(loss,), detail={"checkpoint": "x"})
    fit = {"r2": 0.9, "first": 4, "last": 100, "images": 500}
    alpha = Measure(name="alpha", value=0.5 + number % 7 / 10, detail=fit)
    broken = Measure(
        name="alpha", value=None, status="degenerate", fatal=True, detail={"reason": "rank 1"}
    )
    measures = (broken if number == 6 else alpha, Measure(name="my rank", value=2.0))
    yield Observation(stage="measured", step=2, measures=measures, detail={"spectrum": [2.0, 1.0]})
    accuracy = Measure(name="accuracy", value=number % 10 / 10, detail={"images": 200})
    yield Observation(stage="probed", step=2, measures=(accuracy,))
