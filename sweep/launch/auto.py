"""The rule `auto`: which rule a study gets, decided once, before its first event.

`decide` is a pure function of a few facts about the study, two timings among them. `gather` finds
the facts out, and times training steps and a look (a probe of an encoder that has just begun) on
this machine, only if the choice depends on them. The log's first event keeps the choice, and the
config in the log names the chosen rule, so a resume and `sweep replay --verify` never choose again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from sweep import rules
from sweep.config.models import RuleConfig
from sweep.config.space import Candidate
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.datasets.cache import Data, Reader, load
from sweep.launch.buildable import Size
from sweep.launch.timed import time_look, time_steps
from sweep.prediction.few_labels import LOOK, SPECTRUM
from sweep.pretraining.train import look_step

AUTO = "auto"
"""The value of `rule.name` that lets the study choose."""

LOOKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Fractions of training at which `race` probes without a prior."""
LOOKS_WITH_A_PRIOR = (1 / 8, 1 / 4, 1 / 2)
"""Fractions of training at which `race` probes with a prior."""
END_LOOKS = (LOOK, 1 / 8, 1 / 4, 1 / 2)
"""If only finished models are probed, all models are measured at the first of these fractions of
training that a checkpoint can serve. A study without such a fraction cannot be paused."""
FIRST_STEP = 10
"""Steps of training before the first look, at least: an own choice. Earlier, an encoder is still
close to its random weights."""
FEWEST_CANDIDATES = 4
"""With fewer candidates every model is probed: `race` needs as many looks before it chooses."""
DEAR = 1 / 5
"""Part of a trial's time from which a look is too dear to be taken during training."""
TIMED_SECONDS = 1.0
"""How long steps and looks are timed, about; a step or look that takes longer is still finished."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the choice depends on.

    Args:
        candidates: how many there are.
        own_trial: the training code is the user's own.
        labels: all splits of the probe's data have labels.
        per_model: labels are bought for each model.
        proposer: the user named a proposer.
        prior: `race` would have a prior.
        criteria: names of the criteria.
        probe_at, criteria_at: as the user gave them.
        given: `rule.labels`, if the user gave it.
        fewest_steps: of the shortest training of all candidates.
        steps: of the training of the candidate that was timed.
        step_seconds: of that candidate; None if not timed.
        look_seconds: of a probe of that candidate; None if not timed.
    """

    candidates: int
    own_trial: bool = False
    labels: bool = True
    per_model: bool = False
    proposer: bool = False
    prior: bool = False
    criteria: tuple[str, ...] = ("alpha", "rankme")
    probe_at: tuple[float, ...] = ()
    criteria_at: tuple[float, ...] = ()
    given: Literal["looks", "end"] | None = None
    fewest_steps: int = 0
    steps: int = 0
    step_seconds: float | None = None
    look_seconds: float | None = None

    @property
    def look_share(self) -> float:
        """The time of a look as a part of the time of a trial; 0 if not timed."""
        if self.look_seconds is None or not self.step_seconds:
            return 0.0
        return self.look_seconds / (self.steps * self.step_seconds)

    @property
    def unclear(self) -> bool:
        """True if only timings can tell which rule is chosen."""
        return (
            self.labels
            and self.candidates >= FEWEST_CANDIDATES
            and not (self.own_trial or self.per_model or self.proposer)
            and self.given is None
            and self.pausable
        )

    @property
    def pausable(self) -> bool:
        """True if every trial can be paused at a look during its training."""
        return bool(served(END_LOOKS, self.fewest_steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The chosen rule.

    Args:
        rule: its name.
        keys: of the rule, besides those that the user gave.
        probe_at, criteria_at: fractions of training at which trials are probed and measured.
        why: the reason, in a sentence without a full stop.
        facts: on which the choice rests.
    """

    rule: str
    keys: Mapping[str, Any]
    probe_at: tuple[float, ...]
    criteria_at: tuple[float, ...]
    why: str
    facts: Facts

    @property
    def line(self) -> str:
        """The choice, its looks and the two times, in one line."""
        keys = "".join(f", {name} = {value}" for name, value in self.keys.items())
        looks = ""
        if self.probe_at:
            looks += f", probes at {_listed(self.probe_at)} of training"
        if self.criteria_at:
            looks += f", measures at {_listed(self.criteria_at)} of training"
        return f"rule        {self.rule}{keys}{looks}: {self.why}{_times(self.facts)}"

    def to_json(self) -> dict[str, Any]:
        """Return what the log's first event keeps."""
        return {
            "name": self.rule,
            "keys": dict(self.keys),
            "probe_at": list(self.probe_at),
            "criteria_at": list(self.criteria_at),
            "why": self.why,
            "steps": self.facts.steps,
            "step_seconds": self.facts.step_seconds,
            "look_seconds": self.facts.look_seconds,
        }

    def applied(self, config: StudyConfig) -> StudyConfig:
        """Return the config with the chosen rule and looks in place of `auto`."""
        return apply(config, self.to_json())

    def unused(self, config: StudyConfig) -> list[str]:
        """Return a warning about the keys of the user that the chosen rule does not have."""
        keys = sorted(config.rule.parameters)
        if self.rule == "race" or not keys:
            return []
        names = ", ".join(f"rule.{key}" for key in keys)
        return [
            f"{names} has no effect: it is a key of race, and the rule is {self.rule}. Name the "
            "rule with rule.name to get another one."
        ]


def apply(config: StudyConfig, chosen: Mapping[str, Any]) -> StudyConfig:
    """Return a config with a chosen rule and its looks in place of `auto`.

    Keys that the user gave are those of `race`; another rule gets none of them.

    Args:
        config: whose rule is `auto`.
        chosen: as `Choice.to_json` returns it, and the log keeps it.
    """
    given = config.rule.parameters if chosen["name"] == "race" else {}
    rule = RuleConfig(name=chosen["name"]).with_parameters({**given, **chosen["keys"]})
    probe_at, criteria_at = tuple(chosen["probe_at"]), tuple(chosen["criteria_at"])
    return config.model_copy(
        update={
            "rule": rule,
            "probe": config.probe.model_copy(update={"at": probe_at}),
            "criteria": config.criteria.model_copy(update={"at": criteria_at}),
        }
    )


def decide(facts: Facts) -> Choice:
    """Return the rule of a study."""
    if facts.own_trial:
        return _choice(facts, "goldilocks", "sweep cannot pause your own training code at a look")
    if not facts.labels:
        return _choice(facts, "none", "there are no labels, so models are only measured")
    if facts.candidates < FEWEST_CANDIDATES:
        return _choice(facts, "all", "there are too few candidates to choose among them")
    if facts.proposer:
        return _unpaused(facts, "space.proposer names the next candidate, and race would choose it")
    if facts.given != "end" and not facts.per_model and facts.probe_at:
        return _race(facts, facts.probe_at, "probe.at is given")
    if not facts.pausable:
        return _unpaused(
            facts, f"a trial of {facts.fewest_steps} steps is too short to pause at a look"
        )
    if facts.given == "end":
        return _race_to_the_end(facts, 'rule.labels = "end" is given')
    if facts.per_model:
        return _race_to_the_end(
            facts, 'probe.labels = "per_model", so only finished models are probed'
        )
    if facts.look_share >= DEAR:
        return _race_to_the_end(facts, f"a look takes {DEAR:g} of a trial's time or more")
    looks = LOOKS_WITH_A_PRIOR if facts.prior else LOOKS
    spaced = affordable(served(looks, facts.fewest_steps), facts.look_share)
    return _race(facts, spaced, f"a look takes less than {DEAR:g} of a trial's time")


def _choice(facts: Facts, rule: str, why: str) -> Choice:
    return Choice(
        rule=rule,
        keys={},
        probe_at=facts.probe_at,
        criteria_at=facts.criteria_at,
        why=why,
        facts=facts,
    )


def _unpaused(facts: Facts, why: str) -> Choice:
    """Return the rule for trials that are all trained to the end."""
    if "alpha" in facts.criteria:
        return _choice(facts, "goldilocks", why)
    return _choice(facts, "all", f"{why}, and goldilocks needs alpha in criteria.names")


def _race(facts: Facts, looks: tuple[float, ...], why: str) -> Choice:
    return Choice(
        rule="race",
        keys={},
        probe_at=looks,
        criteria_at=facts.criteria_at,
        why=why,
        facts=facts,
    )


def _race_to_the_end(facts: Facts, why: str) -> Choice:
    if not {*SPECTRUM} <= {*facts.criteria} and facts.given is None:
        needed = " and ".join(SPECTRUM)
        return _unpaused(facts, f"{why}, and race needs {needed} in criteria.names for that")
    return Choice(
        rule="race",
        keys={"labels": "end"},
        probe_at=(),
        criteria_at=facts.criteria_at or served(END_LOOKS, facts.fewest_steps)[:1],
        why=why,
        facts=facts,
    )


def served(looks: Sequence[float], steps: int) -> tuple[float, ...]:
    """Return the looks that have a step of their own, from `FIRST_STEP` to the last but one."""
    by_step = {look_step(fraction, steps): fraction for fraction in sorted(looks, reverse=True)}
    return tuple(sorted(f for step, f in by_step.items() if FIRST_STEP <= step < steps))


def affordable(looks: Sequence[float], look_share: float) -> tuple[float, ...]:
    """Return the looks before which training takes at least as long as the look itself.

    If there is none, the last look is returned.

    Args:
        looks: fractions of training, ascending.
        look_share: the time of a look as a part of the time of a trial.
    """
    kept, last = list[float](), 0.0
    for fraction in looks:
        if fraction - last >= look_share:
            kept.append(fraction)
            last = fraction
    return tuple(kept or looks[-1:])


def checked_keys(config: StudyConfig) -> StudyConfig:
    """Return the config with `race` in place of `auto`, once its keys are known to be race's.

    The keys are checked before anything is timed, so an error never depends on a timing.

    Raises:
        ConfigError: a key that `race` does not have, or a wrong value.
    """
    config = config.model_copy(
        update={"rule": RuleConfig(name="race").with_parameters(config.rule.parameters)}
    )
    try:
        rules.bind(config.rule, seed=config.seed)
    except ConfigError as error:
        raise ConfigError(
            f'{error} rule.name is "{AUTO}", which takes the keys of race. For the keys of another '
            'rule, name it, for example rule.name="goldilocks".'
        ) from error
    return config


def gather(
    config: StudyConfig,
    candidates: Sequence[Candidate],
    data: Data | None,
    sizes: Mapping[str, Size],
    *,
    prior: bool,
    read: Reader = load,
) -> Facts:
    """Return the facts, with timings if the choice depends on them.

    Args:
        config: of the study, its keys checked, with no other key of the rule than the user's.
        candidates: in the study's order.
        data: the images; None for the user's own training code.
        sizes: trial_id -> size of each candidate.
        prior: `race` would have a prior.
        read: the images of the probe.
    """
    if data is None:
        return Facts(candidates=len(candidates), own_trial=True)
    ordered = sorted(candidates, key=lambda candidate: sizes[candidate.trial_id].cost)
    timed = ordered[len(ordered) // 2]
    facts = Facts(
        candidates=len(candidates),
        labels=_labelled(config, data, read),
        per_model=config.probe.labels == "per_model",
        proposer=config.space.proposer.name != "order",
        prior=prior,
        criteria=config.criteria.names,
        probe_at=config.probe.at,
        criteria_at=config.criteria.at,
        given=config.rule.parameters.get("labels"),
        fewest_steps=min(size.steps for size in sizes.values()),
        steps=sizes[timed.trial_id].steps,
    )
    return _timed(facts, config, timed, data, read) if facts.unclear else facts


def _labelled(config: StudyConfig, data: Data, read: Reader) -> bool:
    labelled = data if config.probe.data is None else read(config.probe.data)
    splits = labelled.splits
    return all(s.labels is not None for s in (splits.train, splits.validation, splits.test))


def _timed(facts: Facts, config: StudyConfig, timed: Candidate, data: Data, read: Reader) -> Facts:
    """Return the facts with the seconds of a step and of a look of one candidate."""
    gpu = config.resources.gpu != 0 and torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    torch.set_num_threads(max(1, int(config.resources.cpu)))
    processes = config.resources.processes_of_a_trial
    steps = time_steps(timed.config, data, device, seconds=TIMED_SECONDS, processes=processes)
    look = time_look(timed.config, data, steps.encoder, device, seconds=TIMED_SECONDS, read=read)
    if gpu:
        torch.cuda.empty_cache()
    return replace(facts, step_seconds=steps.seconds, look_seconds=look)


def _listed(fractions: Sequence[float]) -> str:
    return ", ".join(f"{fraction:g}" for fraction in fractions)


def _times(facts: Facts) -> str:
    if facts.step_seconds is None or facts.look_seconds is None:
        return ""
    return (
        f" (a look {facts.look_seconds:.3g} s; a trial {facts.steps} steps of "
        f"{facts.step_seconds:.3g} s)"
    )
