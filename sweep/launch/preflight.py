"""Checks a study before any of its files is written.

Reads the data once (into the node's cache, which the trials use), binds every member, builds each
method, and chooses the rule if it is `auto`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sweep import encoders, methods, proposers, rules
from sweep.config.space import Candidate, candidates
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError, DataError, StudyWarning
from sweep.core.plugins import Bound, resolve
from sweep.datasets.cache import Data, Reader, fingerprint, load
from sweep.datasets.few_labels import with_labels
from sweep.launch import auto
from sweep.launch.buildable import Size, sizes_of
from sweep.prediction.earlier import Source
from sweep.pretraining.members import bind_criteria, bind_data, bind_probe, binder
from sweep.pretraining.parallel.checks import check_backend
from sweep.pretraining.train import look_step
from sweep.probes.measures import TOP
from sweep.proposers import Proposer
from sweep.replay.landscape_rows import is_number
from sweep.replay.priors import Prior, Target, choose
from sweep.rules import Rule
from sweep.runners.worker import TRIALS


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A config that passed all checks.

    Args:
        config: as given, with the keys of its members filled in.
        candidates: in the study's order.
        rule, proposer: made from the config.
        prior: the earlier studies that the rule learns from.
        data_digest: of the images; "" for the user's own training code without `data.path`.
        data: the images; None for the user's own training code.
        sizes: trial_id -> weights and steps; empty for the user's own code.
        choice: of the rule, if the config left it open; else None.
        unused: warnings about keys of `auto` that the chosen rule does not have.
    """

    config: StudyConfig
    candidates: list[Candidate]
    rule: Rule
    proposer: Proposer
    prior: Prior
    data_digest: str
    data: Data | None
    sizes: Mapping[str, Size]
    choice: auto.Choice | None = None
    unused: Sequence[str] = ()


def prepare(
    config: StudyConfig, *, sources: tuple[Source, ...] | None = None, read: Reader = load
) -> Prepared:
    """Check a config against its data and this machine.

    Args:
        config: of the study.
        sources: of the prior of a study that has begun; by default they are read from where
            `rule.prior` says.
        read: the images; `glance` reads only what a dry run needs.

    Raises:
        ConfigError: a wrong name, key, window or space.
        DataError: images that are missing, unreadable, too few, or unlabelled.
    """
    choice, unused = None, list[str]()
    if config.rule.name == auto.AUTO:
        config = auto.checked_keys(config)
        choice = _chosen(config, read)
        unused = choice.unused(config)
        config = choice.applied(config)
    rule, proposer = bind_rule(config), proposers.bind(config.space.proposer, seed=config.seed)
    prepared_rule, prepared_proposer = rule.make(), proposer.make()
    data, data_digest = _images(config, read)
    config = _filled_in(config, rule, proposer)
    space = candidates(config, data_digest, binder())
    _check_count(config, space)
    prior = _prior(config, rule, space) if sources is None else Prior(sources=sources)
    if prior.sources:
        prepared_rule = bind_rule(config, sources=prior.sources).make()
    sizes: dict[str, Size] = {}
    _check_proposer(config, prepared_rule)
    if data is not None:
        sizes = sizes_of(space, data, processes=_processes(config))
        _check_labels(config, data, prepared_rule, read)
        _check_rule(config, prepared_rule)
        _check_looks(config, sizes)
    elif config.budget.labels is not None:
        raise ConfigError(
            "budget.labels limits the labels of sweep's own probe, and your own training code "
            "probes its models itself. Take budget.labels out."
        )
    return Prepared(
        config=config,
        candidates=space,
        rule=prepared_rule,
        proposer=prepared_proposer,
        prior=prior,
        data_digest=data_digest,
        data=data,
        sizes=sizes,
        choice=choice,
        unused=unused,
    )


def _check_count(config: StudyConfig, space: Sequence[Candidate]) -> None:
    """Warn where a random draw gave fewer different candidates than were asked for."""
    asked = config.space.count
    if config.space.draw == "random" and asked is not None and len(space) < asked:
        warnings.warn(
            f"space.count is {asked}, but the draws gave {len(space)} different candidates. Lists "
            "hold few values; a range, low to high, holds more.",
            StudyWarning,
            stacklevel=2,
        )


def _chosen(config: StudyConfig, read: Reader) -> auto.Choice:
    """Return the rule of a study whose rule is `auto`; its config holds `race` for now."""
    rule, proposer = bind_rule(config), proposers.bind(config.space.proposer, seed=config.seed)
    data, data_digest = _images(config, read)
    space = candidates(_filled_in(config, rule, proposer), data_digest, binder())
    sizes = {} if data is None else sizes_of(space, data, processes=_processes(config))
    prior = _prior(config, rule, space)
    return auto.decide(
        auto.gather(config, space, data, sizes, prior=bool(prior.sources), read=read)
    )


def _images(config: StudyConfig, read: Reader) -> tuple[Data | None, str]:
    """Return the images, None for the user's own training code, and their digest."""
    resolve("The trial", config.trial, TRIALS)
    if config.trial in TRIALS:
        data = read(config.data)
        return data, data.digest
    return None, fingerprint(config.data) if config.data.path else ""


def _processes(config: StudyConfig) -> int:
    """Return how many processes train a model together; this torch can connect them."""
    resources = config.resources
    processes = resources.processes_of_a_trial
    if processes > 1 and resources.address is None:  # a cluster's workers may have another torch
        check_backend(gpu=resources.gpu != 0 and torch.cuda.is_available())
    return processes


def bind_rule(config: StudyConfig, *, sources: tuple[Source, ...] = ()) -> Bound[Rule]:
    """Return the rule of a study; it is eager if the study saves pretraining."""
    eager = bool(config.criteria.at) or config.space.proposer.name != "order"
    return rules.bind(config.rule, seed=config.seed, eager=eager, sources=sources)


def _prior(config: StudyConfig, rule: Bound[Rule], space: list[Candidate]) -> Prior:
    """Return the earlier studies that the rule learns from, chosen for these candidates."""
    if "sources" not in rule.arguments or not space:
        return Prior()
    methods = {candidate.config.method.name for candidate in space}
    method = methods.pop() if len(methods) == 1 else None
    d = space[0].config.method.parameters.get("d")
    target = Target(
        points=[candidate.point for candidate in space],
        method=method if config.trial in TRIALS else "",
        d=float(d) if d is not None and is_number(d) else None,
    )
    return choose(rule.keys.get("prior", "none"), target)


def filled_in(config: StudyConfig) -> StudyConfig:
    """Return the config with all default keys of its members; its rule is not `auto`."""
    rule, proposer = bind_rule(config), proposers.bind(config.space.proposer, seed=config.seed)
    return _filled_in(config, rule, proposer)


def _filled_in(config: StudyConfig, rule: Bound[Rule], proposer: Bound[Proposer]) -> StudyConfig:
    """Return the config with all default keys, so that a later version reads the same values.

    A required key of the encoder or the method may be missing, because axes may give it. In each
    candidate these keys are bound.
    """
    encoder, method, data = config.encoder, config.method, bind_data(config.data)
    return config.model_copy(
        update={
            "data": data.model_copy(update={"name": config.data.name}),
            "encoder": encoder.with_parameters(encoders.filled_in(encoder)),
            "method": method.with_parameters(methods.filled_in(method)),
            "criteria": bind_criteria(config.criteria),
            "probe": bind_probe(config.probe),
            "rule": config.rule.with_parameters(rule.keys),
            "space": config.space.model_copy(
                update={"proposer": config.space.proposer.with_parameters(proposer.keys)}
            ),
        }
    )


def check_without_data(config: StudyConfig) -> None:
    """Check the members of a config, their keys and the space, where the images are not at hand.

    Raises:
        ConfigError: a wrong name, key or space.
    """
    if config.rule.name == auto.AUTO:
        config = auto.checked_keys(config)
    rule, proposer = bind_rule(config), proposers.bind(config.space.proposer, seed=config.seed)
    _check_proposer(config, rule.make())
    resolve("The trial", config.trial, TRIALS)
    candidates(_filled_in(config, rule, proposer), "", binder())


def doubts(prepared: Prepared) -> list[str]:
    """Return warnings about settings that can run but may not be what the user wants."""
    rule_doubts = getattr(prepared.rule, "doubts", None)
    sentences = list(rule_doubts(len(prepared.candidates))) if rule_doubts else []
    sentences += [*prepared.prior.unused, *prepared.unused]
    if prepared.data is not None and prepared.data.splits.undecodable:
        names = prepared.data.splits.undecodable
        more = ", ..." if len(names) > 3 else ""
        sentences.append(
            f"{len(names)} images could not be decoded and are left out: "
            f"{', '.join(names[:3])}{more}"
        )
    return sentences


def _check_labels(config: StudyConfig, data: Data, rule: Rule, read: Reader) -> None:
    if not getattr(rule, "needs_labels", True):
        return
    labelled = data if config.probe.data is None else read(config.probe.data)
    for name in ("train", "validation", "test"):
        split = getattr(labelled.splits, name)
        if split.labels is None:
            raise DataError(
                f"The probe needs labels, and the {name} split has none. Name a labelled set with "
                'probe.data.path, or pretrain and measure only with rule.name="none".'
            )
        if len(split) == 0:
            raise DataError(f"The {name} split of the probe's data is empty.")
    if labelled.shape[0] != data.shape[0]:
        raise DataError(
            f"probe.data has {labelled.shape[0]} channels, the images of pretraining have "
            f"{data.shape[0]}."
        )
    classes = len(labelled.splits.classes)
    if config.probe.metric == "top5_accuracy" and classes <= TOP:
        raise ConfigError(
            f"probe.metric is top5_accuracy, and the probe's data has {classes} classes, so that "
            "five answers are always right. Choose accuracy, balanced_accuracy or macro_f1."
        )
    with_labels(labelled.splits, config.budget.labels, seed=config.data.seed)


def _check_rule(config: StudyConfig, rule: Rule) -> None:
    for needed in sorted(set(getattr(rule, "needs", ())) - set(config.criteria.names)):
        raise ConfigError(
            f'rule.name="{config.rule.name}" decides by {needed}, and criteria.names does not hold '
            f'it. Add "{needed}", or choose another rule: all, random, none.'
        )
    if getattr(rule, "online", False) and not config.probe.at:
        raise ConfigError(
            f'rule.name="{config.rule.name}" decides by the online probe: set probe.at to the '
            "fractions of training at which to probe, for example probe.at=[0.1,0.3]."
        )
    if getattr(rule, "early", False) and not config.criteria.at:
        raise ConfigError(
            f'rule.name="{config.rule.name}" decides by measures during training: set criteria.at '
            "to a fraction of training at which to measure, for example criteria.at=[0.125]."
        )


def _check_proposer(config: StudyConfig, rule: Rule) -> None:
    if getattr(rule, "begins", False) and config.space.proposer.name != "order":
        raise ConfigError(
            f'rule.name="{config.rule.name}" chooses which candidate begins, so '
            f'space.proposer="{config.space.proposer.name}" would have no effect. Take '
            "space.proposer out, or choose a rule that leaves it the choice, for example "
            'rule.name="goldilocks".'
        )


def _check_looks(config: StudyConfig, sizes: Mapping[str, Size]) -> None:
    """Raise `ConfigError` unless each look during training has a step of its own."""
    for steps in sorted({size.steps for size in sizes.values()}):
        taken: dict[int, float] = {0: 0.0, steps: 1.0}
        for fraction in sorted({*config.criteria.at, *config.probe.at}):
            step = look_step(fraction, steps)
            if step in taken:
                at = {0: "before the first step", steps: "on the last step"}.get(
                    step, f"on step {step}, as {taken[step]:g} does"
                )
                raise ConfigError(
                    f"A look at {fraction:g} of a training of {steps} steps falls {at}. Take "
                    f"{fraction:g} out of probe.at and criteria.at, or train for more epochs."
                )
            taken[step] = fraction
