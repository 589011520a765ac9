"""Rules: who is probed. A rule is a pure function of the history.

It is frozen, holds its parameters and its seed, and reads no clock, no file and no
global random state. It answers for every waiting trial (`history.waiting`) with
continue (probe it), hold (wait; revocable) or stop (final), and names the zone it
believes in. Asked twice with the same history it answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config import RuleConfig
from sweep.history import History
from sweep.records import Decision
from sweep.rules.baselines import ProbeAll, ProbeNone, ProbeRandom
from sweep.rules.paper import Paper

Rule = Callable[[History], Decision]

RULES: Mapping[str, Callable[[RuleConfig], Rule]] = {
    "paper": Paper.from_config,
    "all": ProbeAll.from_config,
    "random": ProbeRandom.from_config,
    "none": ProbeNone.from_config,
}
