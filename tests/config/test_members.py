"""Overrides that name another member: keys of the member before are dropped, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.config.study import StudyConfig

FILE: dict[str, Any] = {
    "data": {"name": "parquet", "path": "/photos", "image": "big", "limit": 100},
    "encoder": {"name": "resnet18", "stem": "cifar", "width": 16},
    "method": {"name": "byol", "tau": 0.9},
    "criteria": {"names": ["alpha", "rankme"], "alpha": {"first": 2}, "images": 500},
    "probe": {
        "name": "knn", "k": 5, "data": {"name": "parquet", "path": "/labelled", "label": "fine"},
    },
    "rule": {"name": "paper", "round": 4},
    "space": {"proposer": {"name": "mine:best", "share": 0.5}, "axes": {"d": [8, 16]}},
}  # fmt: skip


def parsed(*overrides: str) -> tuple[StudyConfig, list[str]]:
    """Return the config, and what a user is told."""
    told: list[str] = []
    return StudyConfig.parse(FILE, overrides, warn=told.append), told


@pytest.mark.parametrize(
    ("override", "table", "dropped", "before"),
    [
        ("rule.name=none", "rule", "rule.round", "paper"),
        ("method.name=simclr", "method", "method.tau", "byol"),
        ("encoder.name=small_conv", "encoder", "encoder.stem, encoder.width", "resnet18"),
        ("data.name=imagefolder", "data", "data.image", "parquet"),
        ("probe.name=linear", "probe", "probe.k", "knn"),
        ("probe.data.name=imagefolder", "probe.data", "probe.data.label", "parquet"),
        ("space.proposer.name=tpe", "space.proposer", "space.proposer.share", "mine:best"),
        ("space.proposer=tpe", "space.proposer", "space.proposer.share", "mine:best"),
    ],
)
def test_another_name_drops_the_keys_of_the_member_before_and_says_so(
    override: str, table: str, dropped: str, before: str
) -> None:
    config, told = parsed(override)
    section: Any = config
    for part in table.split("."):
        section = getattr(section, part)
    assert section.name == override.partition("=")[2]
    assert section.parameters == {}
    assert told == [f"{override} drops {dropped}: keys of {before}."]


def test_what_is_common_to_all_members_stays() -> None:
    config, _ = parsed("data.name=imagefolder", "probe.name=linear")
    assert (config.data.path, config.data.limit) == ("/photos", 100)
    assert config.probe.data is not None
    assert config.probe.data.parameters == {"label": "fine"}


@pytest.mark.parametrize(
    "override",
    ["rule.name=paper", "method.name=byol", "data.name=parquet", "space.proposer=mine:best",
     'criteria.names=["rankme", "alpha"]'],
)  # fmt: skip
def test_the_same_name_drops_nothing(override: str) -> None:
    config, told = parsed(override)
    before, _ = parsed()
    assert told == []
    for section in ("rule", "method", "data"):
        assert getattr(config, section) == getattr(before, section)
    assert config.space.proposer == before.space.proposer
    assert config.criteria.parameters_of("alpha") == {"first": 2}


@pytest.mark.parametrize("keys_first", [True, False])
def test_keys_beside_the_name_are_the_new_members(keys_first: bool) -> None:
    overrides = ["rule.name=goldilocks", "rule.round=7", "rule.risk=0.1"]
    config, told = parsed(*(reversed(overrides) if keys_first else overrides))
    assert config.rule.parameters == {"round": 7, "risk": 0.1}
    assert told == ["rule.name=goldilocks drops rule.round: keys of paper."]


@pytest.mark.parametrize("names", ['["rankme"]', "[]"])
def test_criteria_that_are_not_named_lose_their_tables(names: str) -> None:
    config, told = parsed(f"criteria.names={names}")
    assert config.criteria.parameters_of("alpha") == {}
    assert config.criteria.images == 500
    assert told == [
        f"criteria.names={names} drops criteria.alpha: keys of criteria that it does not name."
    ]


def test_a_whole_table_replaces_the_members() -> None:
    config, told = parsed('rule={name="none"}', 'space.proposer={name="gp"}')
    assert (config.rule.name, config.rule.parameters) == ("none", {})
    assert (config.space.proposer.name, config.space.proposer.parameters) == ("gp", {})
    assert told == []


def test_a_data_set_without_a_name_keeps_its_keys_when_it_gets_one() -> None:
    told: list[str] = []
    tree = {"data": {"path": "/photos", "image": "big"}}
    config = StudyConfig.parse(tree, ["data.name=parquet"], warn=told.append)
    assert config.data.parameters == {"image": "big"}
    assert told == []


def test_a_proposer_is_named_alone_or_in_a_table_and_gets_keys() -> None:
    for proposer in ("improvement", {"name": "improvement"}):
        config = StudyConfig.parse({"space": {"proposer": proposer}})
        assert config.space.proposer.name == "improvement"
        config = StudyConfig.parse({"space": {"proposer": proposer}}, ["space.proposer.share=0.5"])
        assert config.space.proposer.parameters == {"share": 0.5}
        config = StudyConfig.parse({"space": {"proposer": proposer}}, ["space.proposer=tpe"])
        assert config.space.proposer.name == "tpe"


def test_the_file_is_left_alone() -> None:
    before = repr(FILE)
    parsed("rule.name=none", "space.proposer=tpe", "criteria.names=[]")
    assert repr(FILE) == before


def test_a_members_key_may_be_named_as_an_attribute_of_a_model() -> None:
    names = ["copy", "json", "schema", "model_config", "parameters", "__class__"]
    overrides = [f"rule.{name}={number}" for number, name in enumerate(names)]
    config = StudyConfig.parse({}, overrides)
    assert config.rule.parameters == {name: number for number, name in enumerate(names)}
    assert StudyConfig.parse(config.model_dump(mode="json")) == config
