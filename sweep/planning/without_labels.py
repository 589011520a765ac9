"""Which model to export where nothing was probed: the first that earlier tables favour and that did
not collapse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.tables.parameters import column

LEAST_RANKME = 2.0
"""RankMe below which a model has collapsed, whatever the others have: nearly all variance is in one
direction."""
PART_OF_THE_LARGEST = 0.25
"""Part of the largest RankMe of all models, below which a model counts as collapsed. In complete
tables the largest is 120 to 140, and models below 30 were among the worst."""
CHOSEN_BY = (
    "complete tables of other images, and no accuracy: it is the first point that they favour "
    "whose features did not collapse"
)
"""What the JSON of the export says."""


def favoured(rows: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the id of the model to export, or None if every model collapsed or failed.

    Args:
        rows: of the table `trials`.
        points: of the space, the most favoured first.
    """
    largest = max((row["rankme"] for row in rows if row.get("rankme") is not None), default=0.0)
    least = max(LEAST_RANKME, PART_OF_THE_LARGEST * largest)
    for point in points:
        for row in rows:
            same = all(row.get(column(name)) == value for name, value in point.items())
            if same and _is_sound(row, least):
                return str(row["trial_id"])
    return None


def _is_sound(row: Mapping[str, Any], least: float) -> bool:
    """Return whether a model was measured, and its features span enough directions."""
    rankme = row.get("rankme")
    return row.get("alpha") is not None and rankme is not None and rankme >= least
