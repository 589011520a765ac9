"""Rules: which models are probed. A rule is a pure function of the history.

A member is a factory `name(*, key=default)` that returns the rule. A rule is frozen, and reads no
clock, no file and no global random state. For every waiting trial (`history.waiting`) it answers
continue (probe it), hold (wait; the rule may change this later) or stop (final). It also names the
zone in which it looks for the best model. A held trial that the rule does not mention continues to
wait, so ten thousand held trials cost nothing at each event. A trial in training may be stopped or
held. For the same history, a rule gives the same answer.
Imports `core`, `config` and `prediction`. To add a rule: a file here, and a line in `RULES`.

A rule may declare what it needs, as attributes:
    needs: names of the criteria by which it decides.
    online: True if it decides by probes at fractions of training (`probe.at`).
    begins: True if it chooses which candidate begins (`Decision.begin`), in place of a proposer,
        and may let a worker idle. It is then also asked when a trial starts.
    early: True if it decides by the criteria at fractions of training (`criteria.at`).
    looks: the fractions of training, above 0 and below 1, at which it wants to see a trial; a
        replay shows and charges only the nearest ones of the table. None: all of them.
    sources: the earlier studies that it uses; see below.
    needs_labels: False if it probes nothing.
    baseline, matched: how it takes part in a replay; see `sweep.replay.rule_specs`.
    doubts(candidates): warnings about a study that can run but may not be what the user wants.

Earlier studies: a rule with the parameter `sources` (a tuple of `sweep.prediction.earlier.Source`)
gets what earlier studies found. It is no key. Its key `prior` names them: addresses of studies,
tables and prior files, `shipped` or `none`. The study reads them once, before its first event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.config.models import RuleConfig
from sweep.core import plugins
from sweep.core.history import History
from sweep.core.records import Decision
from sweep.prediction.earlier import Source
from sweep.rules.baselines import ProbeAll, ProbeNone, ProbeRandom
from sweep.rules.blocks import Blocks
from sweep.rules.extremes import alpha_one, largest_rankme, lowest_loss
from sweep.rules.goldilocks import Goldilocks
from sweep.rules.halving import Asha, Halving
from sweep.rules.paper import Paper
from sweep.rules.race import Race

Rule = Callable[[History], Decision]

RULES: Mapping[str, Callable[..., Rule]] = {
    "race": Race,
    "goldilocks": Goldilocks,
    "paper": Paper,
    "blocks": Blocks,
    "all": ProbeAll,
    "random": ProbeRandom,
    "none": ProbeNone,
    "lowest_loss": lowest_loss,
    "largest_rankme": largest_rankme,
    "alpha_one": alpha_one,
    "halving": Halving,
    "asha": Asha,
}


FILLED = frozenset({"seed", "sources"})
"""Parameters of rules that the study fills in, and that are no keys."""


def bind(
    config: RuleConfig,
    *,
    seed: int = 0,
    eager: bool = False,
    sources: tuple[Source, ...] = (),
) -> plugins.Bound[Rule]:
    """Return the rule that a config names, its keys checked.

    Args:
        config: the name and the keys.
        seed: of the study, for a rule that has a parameter `seed`.
        sources: of the study's prior, for a rule that has a parameter `sources`.
        eager: for a rule that has a key `eager`, its value if the config gives none. It is true
            if the study saves pretraining, by measures during training or by a proposer.

    Raises:
        ConfigError: no such rule, or a key or value that it does not take.
    """
    keys: dict[str, Any] = config.parameters
    known = plugins.keys_of("The rule", config.name, RULES, FILLED)
    if keys.get("eager") is None and "eager" in known:
        keys["eager"] = eager
    return plugins.bind(
        "The rule",
        config.name,
        RULES,
        keys,
        where="rule",
        filled={"seed": seed, "sources": sources},
        common=RuleConfig.model_fields,
    )
