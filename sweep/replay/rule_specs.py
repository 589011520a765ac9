"""Rules that take part in a replay, with their keys, as named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sweep import proposers, rules
from sweep.config.models import ProposerConfig, RuleConfig
from sweep.config.text import value_of
from sweep.core.errors import ConfigError
from sweep.core.plugins import Bound, resolve
from sweep.prediction.earlier import Source
from sweep.proposers import Proposer
from sweep.replay.landscape import Landscape
from sweep.replay.priors import Target, choose
from sweep.rules import RULES, Rule

LISTS = ("prior", "without")
"""Keys whose values are lists of texts: `prior=A,B`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleSpec:
    """A rule with its keys: `goldilocks:tolerance=0.002`, `my_rules:mine:margin=0.1`.

    Args:
        label: as given.
        rule: name and keys of the rule.
        matched: the label of another rule, whose number of probes this one gets, run by run.
        early: whether criteria on the way are looked at.
        proposer: which candidate is pretrained next.
        without: names of the prior's sources that are left out.
        sources: of the prior, for the table that is replayed.
    """

    label: str
    rule: RuleConfig
    matched: str | None = None
    early: bool = False
    proposer: ProposerConfig = field(default_factory=ProposerConfig)
    without: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    @classmethod
    def parse(cls, text: str) -> RuleSpec:
        """Read `NAME` or `NAME:key=value,key=value`; raise `ConfigError`.

        NAME is of a member or `package.module:name`. Keys are the rule's own, and `early`,
        `proposer`, `as` for `random`, and `without` for a rule that has a prior. `prior` and
        `without` may hold several values, `prior=A,B`. `tpe` is `all:proposer=tpe`: every model is
        probed as soon as it is trained.
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
        without = tuple(keys.pop("without", ()))
        spec = cls(
            label=text,
            rule=RuleConfig(name=name).with_parameters(keys),
            matched=matched,
            early=early,
            proposer=proposer,
            without=without,
        )
        if without and not spec._has_prior:
            raise ConfigError(
                f"{text!r}: the rule {name!r} has no prior, so without= says nothing."
            )
        made = spec.make_rule()
        spec.make_proposer(seed=0)
        if proposer.name != "order" and getattr(made, "begins", False):
            raise ConfigError(
                f"{text!r}: the rule {name!r} chooses which candidate begins, so it takes no "
                "proposer. Take proposer= out."
            )
        return spec

    def make_rule(self, *, seed: int = 0, **keys: Any) -> Rule:
        """Return the rule, with some of its keys replaced; raise `ConfigError`.

        Args:
            seed: of the order, for a rule that has a parameter `seed`.
            keys: that take the place of those as typed.
        """
        return self._bound(seed=seed, **keys).make()

    def over(self, landscape: Landscape) -> RuleSpec:
        """Return the rule with the sources of its prior, for the candidates of a table.

        The table itself is left out of the sources.

        Raises:
            ConfigError: the prior is named, and no source can be used.
            UserError: a source cannot be read.
        """
        if not self._has_prior:
            return self
        prior = choose(
            self._bound().keys.get("prior", ()),
            Target.of_landscape(landscape),
            replayed=landscape,
            without=self.without,
        )
        return replace(self, sources=prior.sources)

    def _bound(self, *, seed: int = 0, **keys: Any) -> Bound[Rule]:
        eager = self.early or self.proposer.name != "order"
        config = self.rule.with_parameters({**self.rule.parameters, **keys})
        return rules.bind(config, seed=seed, eager=eager, sources=self.sources)

    @property
    def _has_prior(self) -> bool:
        return "sources" in self._bound().arguments

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


def rule_specs(names: Sequence[str], landscape: Landscape | None = None) -> list[RuleSpec]:
    """Return the rules of a replay; a plain `random` gets as many probes as the first other one.

    Args:
        names: as `RuleSpec.parse` reads them.
        landscape: the table that is replayed, for rules that have a prior.
    """
    specs = [RuleSpec.parse(name) for name in names]
    if landscape is not None:
        specs = [spec.over(landscape) for spec in specs]
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
    last = ""
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals and last in LISTS:  # a further value of the key before: prior=A,B
            key, value = last, item
        elif not equals:
            raise ConfigError(f"{text!r}: {item!r} is not key=value.")
        last = key.strip()
        if last in LISTS:
            keys_given[last] = [*keys_given.get(last, []), value.strip()]
        else:
            keys_given[last] = value_of(value.strip())
    return name, keys_given
