"""Expected improvement per device-second, over the response that the rule `goldilocks` fits.

The response is fitted to the accuracies known so far, over the varied fields and lambda * d;
those under way count as if they came out as expected, so that workers spread. What a
candidate takes is learned from those that are done: with d the projector grows, and a narrow
model that is nearly as promising is tried first. Pure numpy.

Source: Snoek, Larochelle, Adams 2012, section 3.2 (expected improvement per second);
Ginsbourger 2010 (the believer, for what is under way).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sweep.core.history import History, State
from sweep.prediction.response import predict
from sweep.prediction.surrogate import fields, seconds

UNDER_WAY = (State.TRAINING, State.PAUSED, State.WAITING, State.HELD, State.PROBING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Improvement:
    """The pending candidate of the largest expected improvement per device-second.

    Args:
        first: accuracies that are known before anything is fitted; until then candidates
            begin in the study's order.
    """

    first: Annotated[int, Field(gt=0)] = 3

    def __call__(self, history: History) -> int | None:
        pending, probed = history.rows(State.PENDING), history.probed
        if len(probed) < self.first or len(pending) == 0:
            return None
        begun = history.rows(*UNDER_WAY)
        rows = np.concatenate([probed, begun, pending])
        sets = fields(history, rows)
        if len(sets) == 1:
            return None
        accuracies = history.column("accuracy")[probed]
        n = len(probed)
        fit = predict(sets, np.arange(n), accuracies)
        if len(begun):
            known = n + len(begun)
            believed = np.concatenate([accuracies, fit.mean[n:known]])
            fit = predict(sets, np.arange(known), believed)
        gain = fit.improvement(float(accuracies.max()))[n + len(begun) :]
        return int(pending[np.argmax(gain / seconds(history, pending))])
