"""What a study comes to: the winner, how sure that is, and how many probes it took. Pure."""

from __future__ import annotations

import math

import numpy as np

from sweep.core.history import History, State
from sweep.core.records import Outcome

Z95 = 1.959963984540054


def outcome(history: History, reason: str) -> Outcome:
    """Return the outcome of a study if it ended now.

    Args:
        history: of the whole study.
        reason: why the study ends.
    """
    probed = history.probed
    paid = history.count(State.PROBED)
    measured = int((~np.isnan(history.column("alpha"))).sum())
    winner, accuracy, interval, ties = None, None, None, list[str]()
    if len(probed):
        accuracies = history.column("accuracy")
        rows = np.sort(probed)
        best = int(rows[np.argmax(accuracies[rows])])
        winner, accuracy = history.trial_ids[best], float(accuracies[best])
        images = history.column("accuracy_images")
        low, high = history.column("accuracy_lo"), history.column("accuracy_hi")
        if not math.isnan(low[best]):  # probe.metric is not the accuracy
            interval = float(low[best]), float(high[best])
            error = (high - low) / (2 * Z95)
            near = np.abs(accuracies - accuracy) <= Z95 * np.hypot(error, error[best])
            ties = [history.trial_ids[row] for row in rows if row != best and near[row]]
        elif (
            images[best] >= 1 and 0 <= accuracy <= 1
        ):  # a user's own probe may not report a share of images
            interval = wilson(accuracy, int(images[best]))
            ties = [
                history.trial_ids[row]
                for row in rows
                if row != best and _same(accuracy, float(accuracies[row]), int(images[best]))
            ]
    return Outcome(
        winner=winner,
        accuracy=accuracy,
        interval=interval,
        ties=tuple(ties),
        zone=history.zone,
        probes_paid=paid,
        probes_saved=max(0, measured - paid),
        reason=reason,
    )


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson 1927).

    Args:
        accuracy: share of right answers, 0 to 1.
        images: number of answers, above 0.
    """
    from scipy.stats import binomtest  # half a second to import, which `import sweep` is spared

    correct = binomtest(round(accuracy * images), images)
    interval = correct.proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _same(a: float, b: float, images: int) -> bool:
    """Return whether two proportions of `images` each do not differ at 95 % (unpaired z-test)."""
    error = math.sqrt((a * (1 - a) + b * (1 - b)) / images)
    return abs(a - b) <= Z95 * error
