"""Expected improvement per device-second, over the response that the rule `goldilocks` fits.

The response is fitted to the accuracies known so far, over the varied fields and lambda * d.
Candidates that have begun count with their expected accuracy, so that workers do not all choose
similar candidates. The seconds of a candidate are predicted from the candidates that are done. The
projector grows with d, so a narrow model that is nearly as promising is tried first. Pure numpy.

Source: Snoek, Larochelle, Adams 2012, section 3.2 (expected improvement per second);
Ginsbourger 2010 (the believer, for candidates that have begun).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sweep.core.history import History, State
from sweep.prediction.response import predict
from sweep.prediction.surrogate import fields, seconds

BEGUN = (State.TRAINING, State.PAUSED, State.WAITING, State.HELD, State.PROBING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Improvement:
    """Choose the pending candidate with the largest expected improvement per device-second.

    Args:
        first: number of accuracies that must be known before the first fit; until then candidates
            begin in the study's order.
    """

    first: Annotated[int, Field(gt=0)] = 3

    def __call__(self, history: History) -> int | None:
        pending, probed = history.rows(State.PENDING), history.probed
        if len(probed) < self.first or len(pending) == 0:
            return None
        begun = history.rows(*BEGUN)
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
