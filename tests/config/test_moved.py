"""Keys of earlier versions: each is refused with the sentence that names its new place."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.config.moved import MOVED
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError

NEW_PLACES = {
    "projector.d": "method.d",
    "projector": "method",
    "objective.lambd": "method.lambd",
    "objective.name": "method.name",
    "objective.options.temperature": "method.temperature",
    "encoder.options.depth": "encoder.depth",
    "data.options.image": "data.image",
    "probe.data.options.label": "probe.data.label",
    "criteria.first": "criteria.alpha.first",
    "criteria.last": "criteria.alpha.last",
    "train.joint_batch_norm": "method.joint_batch_norm",
}


def nested(key: str, value: object) -> dict[str, Any]:
    """Return a tree of tables with the value at a dotted key."""
    head, dot, rest = key.partition(".")
    return {head: nested(rest, value) if dot else value}


def test_every_old_place_is_tried_here() -> None:
    assert all(any(key.startswith(old) for key in NEW_PLACES) for old in MOVED)


@pytest.mark.parametrize(("old", "new"), NEW_PLACES.items())
def test_an_old_place_names_the_new_one_wherever_it_is_written(old: str, new: str) -> None:
    sentence = f"^the config is not a study:\n  {old} is now {new}\\.$"
    for tree, overrides in (
        (nested(old, 3), []),
        ({}, [f"{old}=3"]),
        ({"space": {"axes": {old: [3, 4]}}}, []),
        ({}, [f"space.axes.{old}=[3,4]"]),
        ({"space": {"points": [{old: 3}, {old: 4}]}}, []),
    ):
        with pytest.raises(ConfigError, match=sentence):
            StudyConfig.parse(tree, overrides)


def test_all_old_places_of_a_config_are_told_at_once() -> None:
    tree = {"projector": {"d": 8, "layers": 2}, "criteria": {"first": 4}}
    with pytest.raises(ConfigError, match=r"(?s)method\.d.*method\.layers.*criteria\.alpha\.first"):
        StudyConfig.parse(tree)


def test_the_keys_of_a_criterion_are_read_from_a_table_and_from_overrides() -> None:
    tree = {"criteria": {"alpha": {"first": 2}}}
    assert StudyConfig.parse(tree).criteria.parameters_of("alpha") == {"first": 2}
    config = StudyConfig.parse(tree, ["criteria.alpha.last=50"])
    assert config.criteria.parameters_of("alpha") == {"first": 2, "last": 50}
    own = ['criteria.names=["my.own:width"]', 'criteria."my.own:width".margin=0.5']
    config = StudyConfig.parse({}, own)
    assert config.criteria.parameters_of("my.own:width") == {"margin": 0.5}
