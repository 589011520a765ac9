"""Rules that take part in a replay, with their keys, as named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sweep import proposers, rules
from sweep.config.models import ProposerConfig, RuleConfig
from sweep.config.text import value_of
from sweep.core.errors import ConfigError
from sweep.core.plugins import resolve
from sweep.proposers import Proposer
from sweep.rules import RULES, Rule


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleSpec:
    """A rule with its keys: `goldilocks:tolerance=0.002`, `my_rules:mine:margin=0.1`.

    Args:
        label: as given.
        rule: name and keys of the rule.
        matched: the label of another rule, whose number of probes this one gets, run by run.
        early: whether criteria on the way are looked at.
        proposer: which candidate is pretrained next.
    """

    label: str
    rule: RuleConfig
    matched: str | None = None
    early: bool = False
    proposer: ProposerConfig = field(default_factory=ProposerConfig)

    @classmethod
    def parse(cls, text: str) -> RuleSpec:
        """Read `NAME` or `NAME:key=value,key=value`; raise `ConfigError`.

        NAME is of a member or `package.module:name`. Keys are the rule's own, and `early`,
        `proposer`, and `as` for `random`. `tpe` is `all:proposer=tpe`: every model is probed as
        soon as it is trained.
        """
        name, keys = _split(text)
        if name == "tpe":
            name, keys = "all", {"proposer": "tpe", **keys}
        if "name" in keys:
            raise ConfigError(
                f"{text!r}: the rule's name stands before its keys, as {name!r} does."
            )
        matched = str(keys.pop("as")) if "as" in keys else None
        early = str(keys.pop("early", "no")).lower() in ("true", "1", "yes")
        proposer = ProposerConfig(name=str(keys.pop("proposer", "order")))
        spec = cls(
            label=text,
            rule=RuleConfig(name=name).with_parameters(keys),
            matched=matched,
            early=early,
            proposer=proposer,
        )
        spec.make_rule()
        spec.make_proposer(seed=0)
        return spec

    def make_rule(self, *, seed: int = 0, **keys: Any) -> Rule:
        """Return the rule, with some of its keys replaced; raise `ConfigError`.

        Args:
            seed: of the order, for a rule that has a parameter `seed`.
            keys: that take the place of those as typed.
        """
        eager = self.early or self.proposer.name != "order"
        config = self.rule.with_parameters({**self.rule.parameters, **keys})
        return rules.bind(config, seed=seed, eager=eager).make()

    def make_proposer(self, *, seed: int) -> Proposer:
        """Return the proposer; raise `ConfigError`."""
        return proposers.bind(self.proposer, seed=seed).make()

    @property
    def baseline(self) -> bool:
        """True if the rule uses no criterion."""
        return bool(getattr(self.make_rule(), "baseline", False))

    @property
    def wants_probes(self) -> bool:
        """True if the rule gets as many probes as another rule, because no number is given."""
        return bool(getattr(self.make_rule(), "matched", False)) and (
            "probes" not in self.rule.parameters
        )


def rule_specs(names: Sequence[str]) -> list[RuleSpec]:
    """Return the rules of a replay; a plain `random` gets as many probes as the first other one."""
    specs = [RuleSpec.parse(name) for name in names]
    models = [spec.label for spec in specs if not spec.baseline]
    out = []
    for spec in specs:
        if spec.wants_probes:
            model = spec.matched or (models[0] if models else None)
            if model is None or model not in [other.label for other in specs]:
                raise ConfigError(
                    f"{spec.label!r} needs a number of probes: random:probes=10, or another "
                    "rule in --rules whose number it takes, random:as=NAME."
                )
            spec = replace(spec, matched=model)
        out.append(spec)
    return sorted(out, key=lambda spec: spec.matched is not None)


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the keys of a rule as typed."""
    name, _, rest = text.partition(":")
    if name not in RULES and name != "tpe":
        attribute, _, keys = rest.partition(":")
        if not attribute or "=" in attribute:
            resolve("The rule", name, RULES)  # says which rules there are
        name, rest = f"{name}:{attribute}", keys
    keys_given: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"{text!r}: {item!r} is not key=value.")
        keys_given[key.strip()] = value_of(value.strip())
    return name, keys_given
