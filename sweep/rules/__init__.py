"""Rules: who is probed. A rule is a pure function of the history.

It is frozen, holds its parameters and its seed, and reads no clock, no file and no
global random state. It answers for every waiting trial (`history.waiting`) with
continue (probe it), hold (wait; revocable) or stop (final), and names the zone it
believes in. Whoever is held already goes on waiting where the rule says nothing, so that ten
thousand who wait cost nothing at each event. Of one that trains it may say stop, and hold
where it stands. Asked twice with the same history it answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.config.models import RuleConfig
from sweep.core.history import History
from sweep.core.records import Decision
from sweep.rules import extremes
from sweep.rules.baselines import ProbeAll, ProbeNone, ProbeRandom
from sweep.rules.blocks import Blocks
from sweep.rules.goldilocks import Goldilocks
from sweep.rules.halving import Asha, Halving
from sweep.rules.paper import Paper

Rule = Callable[[History], Decision]

RULES: Mapping[str, Callable[[RuleConfig], Rule]] = {
    "goldilocks": Goldilocks.from_config,
    "paper": Paper.from_config,
    "blocks": Blocks.from_config,
    "all": ProbeAll.from_config,
    "random": ProbeRandom.from_config,
    "none": ProbeNone.from_config,
    "lowest_loss": extremes.lowest_loss,
    "largest_rankme": extremes.largest_rankme,
    "alpha_one": extremes.alpha_one,
    "halving": Halving.from_config,
    "asha": Asha.from_config,
}
