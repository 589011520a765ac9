"""Who takes part in a replay: rules with their parameters, as named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep.config.models import RuleConfig
from sweep.core.errors import ConfigError, unknown_name
from sweep.proposers import PROPOSERS
from sweep.rules import RULES

ONLINE = ("halving", "asha")
"""Rules that go by the online probe, and pay for it; for the others it is not taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A rule with its parameters, as named on the command line: `goldilocks:tolerance=0.002`.

    Args:
        label: as given.
        rule: the config.
        matched: for `random`: the contender whose number of probes it gets, run by run.
        early: whether criteria on the way are looked at.
        proposer: names the candidate that is pretrained next.
    """

    label: str
    rule: RuleConfig
    matched: str | None = None
    early: bool = False
    proposer: str = "order"

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Read `NAME` or `NAME:key=value,key=value`; raise `ConfigError`.

        Keys are the rule's fields, and `early`, `proposer`, and `as` for `random`. `tpe` is
        `all:proposer=tpe`: every model is probed as soon as it is trained.
        """
        name, _, rest = text.partition(":")
        if name == "tpe":
            name, rest = "all", f"proposer=tpe,{rest}"
        if name not in RULES:
            raise ConfigError(unknown_name("The rule", name, RULES))
        fields: dict[str, Any] = {"name": name}
        for item in filter(None, rest.split(",")):
            key, equals, value = item.partition("=")
            if not equals:
                raise ConfigError(f"{text!r}: {item!r} is not key=value.")
            fields[key.strip()] = value.strip()
        matched = fields.pop("as", None)
        early = str(fields.pop("early", "no")).lower() in ("true", "1", "yes")
        proposer = fields.pop("proposer", "order")
        if proposer not in PROPOSERS:
            raise ConfigError(unknown_name("The proposer", proposer, PROPOSERS))
        fields.setdefault("eager", early or proposer != "order")
        try:
            rule = RuleConfig(**fields)
        except ValueError as error:
            first = error.errors()[0]  # type: ignore[attr-defined]
            raise ConfigError(f"{text!r}: {first['loc'][0]}: {first['msg']}.") from error
        return cls(label=text, rule=rule, matched=matched, early=early, proposer=proposer)


def contenders(names: Sequence[str]) -> list[Contender]:
    """Return the contenders; a plain `random` gets as many probes as the first of the others."""
    found = [Contender.parse(name) for name in names]
    others = [c for c in found if c.rule.name not in ("random", "all", "none")]
    out = []
    for contender in found:
        if contender.rule.name == "random" and contender.rule.probes is None:
            model = contender.matched or (others[0].label if others else None)
            if model is None or model not in [c.label for c in found]:
                raise ConfigError(
                    f"{contender.label!r} needs a number of probes: random:probes=10, or another "
                    "rule in --rules whose number it takes, random:as=NAME."
                )
            contender = replace(contender, matched=model)
        out.append(contender)
    return sorted(out, key=lambda c: c.matched is not None)
