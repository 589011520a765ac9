"""Everything that can be refused is refused here, before a file of the study is written.

Reads the data once (it is decoded into the node's cache anyway), resolves every name,
and learns the encoder's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sweep import criteria, encoders, methods, probes, proposers, rules
from sweep.config.models import StudyConfig, TrialConfig, digest
from sweep.config.space import Candidate, candidates
from sweep.core.errors import ConfigError, DataError
from sweep.core.plugins import Bound, resolve
from sweep.datasets.cache import Data, fingerprint, load
from sweep.methods import Method
from sweep.pretraining.images import training_split
from sweep.pretraining.members import bind_trial
from sweep.pretraining.train import build_method
from sweep.proposers import Proposer
from sweep.rules import Rule
from sweep.runners.worker import TRIALS


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A config that may run.

    Args:
        config: as given, with the keys of its members filled in.
        candidates: in the order in which they wait.
        rule, proposer: made from the config.
        data_digest: of the images; "" for training code of one's own without `data.path`.
        data: the images; None likewise.
    """

    config: StudyConfig
    candidates: list[Candidate]
    rule: Rule
    proposer: Proposer
    data_digest: str
    data: Data | None


def prepare(config: StudyConfig) -> Prepared:
    """Check a config against its data and this machine.

    Raises:
        ConfigError: a name, a key, a window, a space or a device that cannot be.
        DataError: images that are missing, unreadable, too few, or unlabelled.
    """
    rule, proposer = bind_rule(config), proposers.bind(config.space.proposer, seed=config.seed)
    prepared_rule, prepared_proposer = rule.make(), proposer.make()
    resolve("The trial", config.trial, TRIALS)
    own = config.trial not in TRIALS
    data = None if own else load(config.data)
    if data is not None:
        data_digest = data.digest
    else:
        data_digest = fingerprint(config.data) if config.data.path else ""
    space = candidates(config, data_digest, bind_trial)
    if data is not None:
        checked = dict[str, int]()
        for candidate in space:
            _check_trial(candidate.config, data, checked)
        _check_labels(config, data, prepared_rule)
        _check_rule(config, prepared_rule)
    return Prepared(
        config=_filled_in(config, rule, proposer),
        candidates=space,
        rule=prepared_rule,
        proposer=prepared_proposer,
        data_digest=data_digest,
        data=data,
    )


def bind_rule(config: StudyConfig) -> Bound[Rule]:
    """Return the rule of a study; it is eager where the study saves pretraining."""
    eager = bool(config.criteria.at) or config.space.proposer.name != "order"
    return rules.bind(config.rule, seed=config.seed, eager=eager)


def _filled_in(config: StudyConfig, rule: Bound[Rule], proposer: Bound[Proposer]) -> StudyConfig:
    """Return the config with every key that has a default, so that a later version reads it alike.

    Axes may give a required key, so members of a trial are bound for each candidate only.
    """
    defaults = {
        "encoder": encoders.defaults(config.encoder.name),
        "method": methods.defaults(config.method.name),
    }
    return config.model_copy(
        update={
            "rule": config.rule.with_parameters(rule.keys),
            "space": config.space.model_copy(
                update={"proposer": config.space.proposer.with_parameters(proposer.keys)}
            ),
            **{
                name: getattr(config, name).with_parameters(
                    {**keys, **getattr(config, name).parameters}
                )
                for name, keys in defaults.items()
            },
        }
    )


def doubts(prepared: Prepared) -> list[str]:
    """Return sentences about what is allowed and yet may not be meant."""
    of_the_rule = getattr(prepared.rule, "doubts", None)
    sentences = list(of_the_rule(len(prepared.candidates))) if of_the_rule else []
    if prepared.data is not None and prepared.data.splits.undecodable:
        names = prepared.data.splits.undecodable
        more = ", ..." if len(names) > 3 else ""
        sentences.append(
            f"{len(names)} images could not be decoded and are left out: "
            f"{', '.join(names[:3])}{more}"
        )
    return sentences


def _check_trial(trial: TrialConfig, data: Data, checked: dict[str, int]) -> None:
    """Build a candidate's members once, and compare its batch with the images it is trained on.

    Args:
        trial: the candidate.
        data: the images.
        checked: digest of members that were built already -> images that they are trained on.
    """
    parts = trial.model_dump(mode="json", include={"encoder", "method", "criteria", "probe"})
    key = digest(parts)
    if key not in checked:
        checked[key] = _check_members(trial, data)
    images = checked[key]
    if images < trial.train.batch:
        raise DataError(
            f"There are {images} images to pretrain on, fewer than a batch of "
            f"{trial.train.batch}. Set train.batch to {images} or less, or give more images."
        )


def _check_members(trial: TrialConfig, data: Data) -> int:
    """Build the method without its weights, and ask each criterion whether it can be measured.

    Returns:
        The number of images that the method is trained on.
    """
    probes.bind(trial.probe).make()
    method = method_of(trial, data)
    split = training_split(method, data.splits, name=trial.method.name)
    dim = int(method.encoder.dim)  # type: ignore[arg-type]  # encoders.build saw an int
    used = min(trial.criteria.images, len(data.splits.pretrain))
    for bound in criteria.bind(trial.criteria):
        check = getattr(bound.make(), "check", None)
        if check is not None:
            with bound.guarded():
                check(dim=dim, images=used)
    return len(split)


def method_of(trial: TrialConfig, data: Data) -> Method:
    """Return a candidate's method, to look at and not to train.

    The package's own members are built without memory for their weights. A plug-in may read its
    weights while it is built, so it is built with weights.
    """
    ours = encoders.bind(trial.encoder).ours and methods.bind(trial.method).ours
    images = len(data.splits.pretrain)
    with torch.random.fork_rng(devices=[]), torch.device("meta" if ours else "cpu"):
        return build_method(trial, data.shape, images=images)


def _check_labels(config: StudyConfig, data: Data, rule: Rule) -> None:
    if not getattr(rule, "needs_labels", True):
        return
    labelled = data if config.probe.data is None else load(config.probe.data)
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
