"""README and documentation name only commands, options, keys and names that exist."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest
import typer.main
from pydantic import BaseModel

import sweep
from sweep.cli.app import app
from sweep.config.models import SHORT, MemberConfig
from sweep.config.study import StudyConfig
from sweep.criteria import CRITERIA
from sweep.datasets import DATASETS
from sweep.encoders import ENCODERS
from sweep.methods import METHODS
from sweep.probes import PROBES
from sweep.proposers import PROPOSERS
from sweep.rules import RULES
from tests.docs.pages import blocks, commands, inline, words

GROUP: Any = typer.main.get_command(app)
MEMBERS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "MethodConfig": METHODS,
    "EncoderConfig": ENCODERS,
    "DataConfig": DATASETS,
    "ProbeConfig": PROBES,
    "RuleConfig": RULES,
    "ProposerConfig": PROPOSERS,
}
TABLES = tuple(StudyConfig.model_fields)
OWN = {"method.mask", "method.patch"}
"""Keys of the example's own method, which the guide explains."""


@pytest.mark.parametrize("command", commands())
def test_a_command_and_its_options_exist(command: str) -> None:
    name, *rest = words(command)
    assert name in GROUP.commands, command
    options = {option for p in GROUP.commands[name].params for option in p.opts} | {"--help"}
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert given <= options, command


@pytest.mark.parametrize("command", [c for c in commands() if "=" in c])
def test_the_keys_of_a_command_exist(command: str) -> None:
    for word in words(command):
        key, equals, _ = word.partition("=")
        if equals and re.fullmatch(r"[a-z_.]+", key) and key.partition(".")[0] in TABLES:
            assert exists(key), f"{command}: {key}"


@pytest.mark.parametrize(("page", "block"), list(blocks("toml")))
def test_the_keys_of_a_config_exist(page: str, block: str) -> None:
    for key in flat(tomllib.loads(block)):
        assert exists(key) or key in OWN, f"{page}: {key}"


@pytest.mark.parametrize("key", ["rule.nothing", "nothing.at_all", "train.lr.more", "probe.data.x"])
def test_a_key_that_is_none_is_found_out(key: str) -> None:
    assert not exists(key)


def test_keys_within_sentences_exist() -> None:
    wrong = []
    for page, code in inline():
        match = re.match(r"([a-z_]+(?:\.[a-z_]+)+)(?:\s?=.*)?$", code)
        if match and match[1].partition(".")[0] in TABLES and not exists(match[1]):
            wrong.append(f"{page}: {code}")
    assert not wrong


def test_commands_within_sentences_exist() -> None:
    wrong = []
    for page, code in inline():
        match = re.match(r"sweep ([a-z]+)( .*)?$", code)
        if match and match[1] not in GROUP.commands:
            wrong.append(f"{page}: {code}")
        elif match:
            options = {o for p in GROUP.commands[match[1]].params for o in p.opts} | {"--help"}
            given = set(re.findall(r"(?<= )--[a-z-]+", match[2] or ""))
            wrong += [f"{page}: {code}" for _ in given - options]
    assert not wrong


@pytest.mark.parametrize(("page", "block"), list(blocks("python")))
def test_python_compiles_and_names_what_sweep_has(page: str, block: str) -> None:
    compile(block, page, "exec")
    for name in re.findall(r"\bsweep\.([A-Za-z_]+)\(", block):
        assert hasattr(sweep, name), f"{page}: sweep.{name}"


def flat(tree: Mapping[str, Any], place: str = "") -> list[str]:
    """Return the dotted keys of a config; an axis or a point counts as one key."""
    found: list[str] = []
    for key, value in tree.items():
        dotted = f"{place}.{key}" if place else key
        if isinstance(value, Mapping) and not dotted.startswith(("space.axes.", "space.points")):
            found += flat(value, dotted)
        else:
            found.append(dotted)
    return found


def exists(dotted: str) -> bool:
    """Return whether a dotted key is a key of a config, or of one of a seam's members."""
    dotted = SHORT.get(dotted, dotted)
    model: type[BaseModel] = StudyConfig
    path = dotted.split(".")
    for place, key in enumerate(path):
        if model.__name__ == "CriteriaConfig" and key not in model.model_fields:
            return key in CRITERIA or ":" in key
        if key not in model.model_fields:
            last = place == len(path) - 1 and issubclass(model, MemberConfig)
            return last and key in keys_of(MEMBERS.get(model.__name__, {}))
        annotation = model.model_fields[key].annotation
        inner = [a for a in (annotation, *get_args(annotation)) if is_model(a)]
        if not inner:  # a value, or a table of any keys
            return place == len(path) - 1 or "dict" in str(annotation)
        model = inner[0]
    return True


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def keys_of(members: Mapping[str, Callable[..., Any]]) -> set[str]:
    return {name for factory in members.values() for name in inspect.signature(factory).parameters}
