"""What a study comes to: the winner, how sure that is, and what it cost. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sweep.core.history import ZONE, History, State
from sweep.core.records import Zone

Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of a study.

    Args:
        winner: the trial with the best validation accuracy, the first of equals; None
            where nothing was probed.
        accuracy: the winner's, on the validation split, 0 to 1.
        interval: its 95 % Wilson interval, for the images of the validation split; None
            where their number is not known. It leaves out that the best of several was picked.
        ties: other trials whose accuracy does not differ from the winner's at 95 %.
        zone: the interval of alpha in which the rule last looked.
        probes_paid: models probed.
        probes_saved: models pretrained and measured that the rule spared.
        reason: why it ended.
    """

    winner: str | None
    accuracy: float | None
    interval: tuple[float, float] | None
    ties: tuple[str, ...]
    zone: Zone
    probes_paid: int
    probes_saved: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Outcome | None:
        """Read what `to_json` wrote, as the log has it; what else is there is left out.

        None where something is missing: another version wrote that, and it can be had anew.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not fields.keys() >= set(names):
            return None
        known = {name: fields[name] for name in names}
        zone = known["zone"]
        known["zone"] = Zone(**{name: zone[name] for name in ZONE if name in zone})
        known["ties"] = tuple(known["ties"])
        known["interval"] = known["interval"] and tuple(known["interval"])
        return cls(**known)


def outcome(history: History, reason: str) -> Outcome:
    """Return what the history comes to, as it stands.

    Args:
        history: of the whole study.
        reason: why it ends here.
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
        if images[best] >= 1 and 0 <= accuracy <= 1:  # a probe of one's own may count otherwise
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
        accuracy: share of the images that are classified correctly, 0 to 1.
        images: how many there are, above 0.
    """
    from scipy.stats import binomtest  # half a second to import, which `import sweep` is spared

    correct = binomtest(round(accuracy * images), images)
    interval = correct.proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _same(a: float, b: float, images: int) -> bool:
    """True if two proportions of as many images do not differ at 95 % (unpaired z-test)."""
    error = math.sqrt((a * (1 - a) + b * (1 - b)) / images)
    return abs(a - b) <= Z95 * error
