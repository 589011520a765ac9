"""What an exporter says when it has brought a target up to a study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What a target holds now.

    Args:
        target: where it is, as the other tool wants it.
        trials: how many trials it holds.
        open_with: the command that shows them.
    """

    target: str
    trials: int
    open_with: str
