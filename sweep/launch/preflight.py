"""Everything that can be refused is refused here, before a file of the study is written.

Reads the data once (it is decoded into the node's cache anyway), resolves every name,
and learns the encoder's width.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.config.models import StudyConfig, TrialConfig
from sweep.config.space import Candidate, candidates
from sweep.core.errors import ConfigError, DataError
from sweep.core.plugins import member, resolve
from sweep.criteria import CRITERIA
from sweep.datasets.cache import Data, fingerprint, load
from sweep.encoders import dim_of
from sweep.methods import OBJECTIVES
from sweep.probes import PROBES
from sweep.proposers import PROPOSERS
from sweep.rules import RULES
from sweep.runners.worker import TRIALS

NEEDS = {
    "goldilocks": "alpha",
    "paper": "alpha",
    "blocks": "alpha",
    "alpha_one": "alpha",
    "largest_rankme": "rankme",
}
"""Criterion by which a rule decides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A config that may run.

    Args:
        config: as given.
        candidates: in the order in which they wait.
        data_digest: of the images; "" for training code of one's own without `data.path`.
        data: the images; None likewise.
    """

    config: StudyConfig
    candidates: list[Candidate]
    data_digest: str
    data: Data | None


def prepare(config: StudyConfig) -> Prepared:
    """Check a config against its data and this machine.

    Raises:
        ConfigError: a name, a window, a space or a device that cannot be.
        DataError: images that are missing, unreadable, too few, or unlabelled.
    """
    with member("The rule", config.rule.name, RULES) as rule:
        rule(config.rule_in_full)
    with member("The proposer", config.space.proposer, PROPOSERS) as proposer:
        proposer(config.seed)
    resolve("The trial", config.trial, TRIALS)
    own = config.trial not in TRIALS
    data = None if own else load(config.data)
    if data is not None:
        data_digest = data.digest
    else:
        data_digest = fingerprint(config.data) if config.data.path else ""
    found = candidates(config, data_digest)
    if data is not None:
        for candidate in found:
            _check_trial(candidate.config, data)
        _check_labels(config, data)
        _check_rule(config)
    return Prepared(config=config, candidates=found, data_digest=data_digest, data=data)


def doubts(prepared: Prepared) -> list[str]:
    """Return sentences about what is allowed and yet may not be meant."""
    config, said = prepared.config, []
    rounds = len(prepared.candidates) / config.rule.round
    if config.rule.name == "paper" and rounds < 3:
        said.append(
            f"{len(prepared.candidates)} candidates are fewer than 3 rounds of "
            f"{config.rule.round}: the zone can hardly close. Set rule.round lower (4 or more) "
            "or enlarge the space."
        )
    if prepared.data is not None and prepared.data.splits.undecodable:
        names = prepared.data.splits.undecodable
        more = ", ..." if len(names) > 3 else ""
        said.append(
            f"{len(names)} images could not be decoded and are left out: "
            f"{', '.join(names[:3])}{more}"
        )
    return said


def _check_trial(trial: TrialConfig, data: Data) -> None:
    resolve("The objective", trial.objective.name, OBJECTIVES)
    for name in trial.criteria.names:
        resolve("The criterion", name, CRITERIA)
    images = len(data.splits.pretrain)
    if images < trial.train.batch:
        raise DataError(
            f"There are {images} images to pretrain on, fewer than a batch of "
            f"{trial.train.batch}. Set train.batch to {images} or less, or give more images."
        )
    dim = dim_of(trial.encoder, data.shape)
    if trial.criteria.last > dim:
        raise ConfigError(
            f"The window {trial.criteria.first}..{trial.criteria.last} reaches beyond the "
            f"encoder's {dim} features. Set criteria.last to {dim} or less, or widen the encoder."
        )
    used = min(trial.criteria.images, images)
    if used <= trial.criteria.last:
        raise ConfigError(
            f"alpha up to rank {trial.criteria.last} needs more than {trial.criteria.last} images, "
            f"and {used} are used. Set criteria.images higher or criteria.last lower."
        )


def _check_labels(config: StudyConfig, data: Data) -> None:
    resolve("The probe", config.probe.name, PROBES)
    if config.rule.name == "none":
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


def _check_rule(config: StudyConfig) -> None:
    needs = NEEDS.get(config.rule.name)
    if needs is not None and needs not in config.criteria.names:
        raise ConfigError(
            f'rule.name="{config.rule.name}" decides by {needs}, and criteria.names does not hold '
            f'it. Add "{needs}", or choose another rule: all, random, none.'
        )
    if config.rule.name in ("halving", "asha") and not config.probe.at:
        raise ConfigError(
            f'rule.name="{config.rule.name}" decides by the online probe: set probe.at to the '
            "fractions of training at which to probe, for example probe.at=[0.1,0.3]."
        )
