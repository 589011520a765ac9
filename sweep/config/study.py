"""The whole config: of a candidate, and of a study with the overrides of the command line.

The tables of the config are in `sweep.config.models`. How axes become candidates:
`sweep.config.space`.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, PositiveInt, ValidationError

from sweep.config.models import (
    AugmentConfig,
    BudgetConfig,
    CriteriaConfig,
    DataConfig,
    EncoderConfig,
    MemberConfig,
    MethodConfig,
    Model,
    ProbeConfig,
    ProposerConfig,
    Range,
    ResourcesConfig,
    RuleConfig,
    SpaceConfig,
    TrainConfig,
)
from sweep.config.moved import moved_keys
from sweep.config.text import Override, sentences, toml, unreasonable
from sweep.core.errors import ConfigError


class TrialConfig(Model):
    """The whole config of one candidate: training, criteria and probe.

    After `sweep.pretraining.members.bind_trial`, its members hold all their keys.

    Args:
        labels: `budget.labels` of the study.
    """

    data: DataConfig
    encoder: EncoderConfig
    method: MethodConfig
    augment: AugmentConfig
    train: TrainConfig
    criteria: CriteriaConfig
    probe: ProbeConfig
    seed: int
    trial: str = "pretrain"
    options: dict[str, Any] = Field(default_factory=dict)
    labels: PositiveInt | None = None

    def trial_id(self, data_digest: str) -> str:
        """Return ten hex digits that depend only on what changes the weights.

        Args:
            data_digest: of the images' content; it replaces their path.
        """
        weights = self.model_dump(
            mode="json",
            exclude={
                "data": {"path", "download", "reading"},
                "criteria": True,
                "probe": True,
                "labels": True,
            },
        )
        if self.data.reading == 2:  # its digest names all that the keys of data decide
            del weights["data"]
        if self.train.sync_batch_norm:  # the ids of studies from before this key stay as they are
            del weights["train"]["sync_batch_norm"]
        del weights["augment"]["preset"]  # the keys that it set are there
        for key in ("flip_vertical", "rotate"):  # so are those without these keys
            if not weights["augment"][key]:
                del weights["augment"][key]
        return digest({"weights": weights, "data": data_digest}, size=5)


class StudyConfig(Model):
    """A whole study: a space of candidates, a budget and a rule.

    Args:
        name: of the results folder; by default the name of the config file.
        seed: of the candidates' order, of random draws, and of the weights, if no axis `seed`
            varies it.
        trial: `pretrain`, or your own training code, `"package.module:function"`.
        options: values for that function; an axis `"options.NAME"` varies one of them.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "study"
    seed: int = 0
    trial: str = "pretrain"
    options: dict[str, Any] = Field(default_factory=dict)
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    method: MethodConfig = MethodConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    criteria: CriteriaConfig = CriteriaConfig()
    probe: ProbeConfig = ProbeConfig()
    space: SpaceConfig = SpaceConfig()
    rule: RuleConfig = RuleConfig()
    budget: BudgetConfig = BudgetConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @classmethod
    def load(
        cls,
        path: str | Path,
        overrides: Sequence[str] = (),
        *,
        warn: Callable[[str], None] = warnings.warn,
    ) -> StudyConfig:
        """Read a TOML file; the study is named after the file if the config has no name.

        Args:
            path: the file.
            overrides: `key=value` with dots for nesting; the value is TOML, or a bare word.
            warn: takes a sentence if an override drops keys of the file.

        Raises:
            ConfigError: the file, a key or a value is wrong.
        """
        path = Path(path)
        tree = read_toml(path)
        tree.setdefault("name", path.stem)
        return cls.parse(tree, overrides, source=str(path), warn=warn)

    @classmethod
    def parse(
        cls,
        tree: dict[str, Any],
        overrides: Sequence[str] = (),
        *,
        source: str = "the config",
        warn: Callable[[str], None] = warnings.warn,
    ) -> StudyConfig:
        """Apply overrides and validate nested dicts; raise `ConfigError` with all faults.

        An override of a member's `name` drops the keys of the member that the tree names.
        """
        changes = [Override.parse(text, axis_fields=Range.model_fields) for text in overrides]
        changes = [_of_the_name(change) for change in changes]
        if changes:
            tree = _with_a_proposer_table(tree)
        for change in changes:
            tree = _without_replaced(tree, change, warn)
        for change in changes:
            tree = change.apply(tree)
        if why := unreasonable(tree):
            raise ConfigError(f"{source} is not a study: {why}.")
        try:
            faults = moved_keys(tree)
            if not faults:
                return cls.model_validate(tree)
        except ValidationError as error:
            faults = sentences(error, cls, Range)
        raise ConfigError("\n  ".join([f"{source} is not a study:", *faults]))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a config's file; raise `ConfigError` if it cannot be read."""
    try:
        return toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no config {path}. `sweep init {path}` writes a starter."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}.") from error


MEMBERS: Mapping[tuple[str, ...], type[MemberConfig]] = {
    ("data",): DataConfig,
    ("encoder",): EncoderConfig,
    ("method",): MethodConfig,
    ("probe",): ProbeConfig,
    ("probe", "data"): DataConfig,
    ("rule",): RuleConfig,
    ("space", "proposer"): ProposerConfig,
}
"""Tables of a study's config that name a member and hold its keys."""


def _of_the_name(change: Override) -> Override:
    """Read `space.proposer=NAME` as `space.proposer.name=NAME`."""
    if change.path == ("space", "proposer") and isinstance(change.value, str):
        return replace(change, path=(*change.path, "name"))
    return change


def _with_a_proposer_table(tree: dict[str, Any]) -> dict[str, Any]:
    """Read `proposer = "NAME"` as a table with a name, to which an override may add keys."""
    space = tree.get("space")
    if not isinstance(space, dict) or not isinstance(space.get("proposer"), str):
        return tree
    return {**tree, "space": {**space, "proposer": {"name": space["proposer"]}}}


def _without_replaced(
    tree: dict[str, Any], change: Override, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Return the tree without the keys of the members that an override replaces."""
    table, kept = change.path[:-1], list[Any]()
    model: type[BaseModel]
    if change.path == ("criteria", "names") and isinstance(change.value, list):
        model, kept = CriteriaConfig, change.value
    elif change.path[-1] == "name" and table in MEMBERS:
        model = MEMBERS[table]
    else:
        return tree
    level: Any = tree
    for key in table:
        level = level.get(key) if isinstance(level, dict) else None
    if not isinstance(level, dict):
        return tree
    dropped = [key for key in level if key not in model.model_fields and key not in kept]
    if model is CriteriaConfig:
        dropped = [key for key in dropped if isinstance(level[key], dict)]
        whose = "criteria that it does not name"
    else:
        whose = level.get("name", model.model_fields["name"].default)
        if whose in (
            None,
            change.value,
        ):  # without a name, the keys belong to the data set at data.path
            return tree
    if not dropped:
        return tree
    where = ".".join(table)
    warn(f"{change.text} drops {', '.join(f'{where}.{key}' for key in dropped)}: keys of {whose}.")
    rest = {key: value for key, value in level.items() if key not in dropped}
    return Override(text=change.text, path=table, value=rest).apply(tree)


def digest(value: Any, *, size: int = 16) -> str:
    """Return a hex digest of JSON-able `value`, `size` bytes long, the same on any machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
