"""The trial of two benches: it trains nothing, and does not import torch, as some training code."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sweep.config.study import TrialConfig
from sweep.core.records import Measure, Observation
from sweep.pretraining.context import Context


def nothing(config: TrialConfig, context: Context) -> Iterator[Observation]:
    """Yield an alpha and an accuracy computed from the number; sleep before for `options.seconds`.

    The first observation comes before the sleep, so that it shows how soon a trial begins.
    """
    number = int(config.options["number"])
    alpha = Measure(name="alpha", value=0.5 + number % 97 / 50)
    yield Observation(stage="trained", step=1, measures=(Measure(name="loss", value=1.0),))
    time.sleep(float(config.options.get("seconds", 0.0)))
    yield Observation(stage="measured", step=1, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=1.0 / (1 + abs(number % 97 - 40)))
    yield Observation(stage="probed", step=1, measures=(accuracy,))
