"""A plan as a config file: each key with a comment that says why it has its value."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.planning.facts import Facts, Images
from sweep.planning.plan import Plan
from sweep.planning.settings import Setting

WIDTH = 100
"""Letters in a line of comments, at most."""


def text_of(
    plan: Plan, facts: Facts, *, name: str, path: Path, overrides: Mapping[str, Any]
) -> str:
    """Return the TOML text of a plan.

    Args:
        plan: what will be done.
        facts: on which the plan rests.
        name: of the study.
        path: of the images.
        overrides: keys of `[data]` that the user gave.
    """
    images, machine = facts.images, facts.machine
    head = [
        f"Written by `sweep start` for {facts.seconds / 60:g} minutes on {machine.workers} "
        f"worker{'s' * (machine.workers > 1)}. The same again: sweep run {name}.toml name=OTHER",
        f"Images: {images.pretrain:,} to pretrain on, {_probed(images)}.",
        f"Plan: {plan.why}.",
    ]
    given = [
        Setting(key="data.path", value=str(path.absolute()), why="the images that were given"),
        *(
            Setting(key=f"data.{key}", value=value, why="given on the command line")
            for key, value in overrides.items()
        ),
    ]
    lines = [*_comments(head), f"name = {_toml(name)}"]
    chosen = {setting.key for setting in plan.settings}
    kept = [setting for setting in given if setting.key not in chosen]
    settings = _with_the_probes_data([*kept, *plan.settings])
    for table, group in _tables(settings).items():
        lines += ["", f"[{table}]"]
        for setting in group:
            lines += _comments([setting.why])
            lines.append(f"{_last(setting.key)} = {_toml(setting.value)}")
    return "\n".join(lines) + "\n"


def _probed(images: Images) -> str:
    """Return how many images a probe and the winner's test read."""
    if not images.classes:
        return "none with a label"
    return (
        f"{images.train:,} + {images.validation:,} labelled for the probe, {images.test:,} for the "
        "winner's test"
    )


def _with_the_probes_data(settings: list[Setting]) -> list[Setting]:
    """Return the settings; if the probe has data of its own, its keys are those of `[data]`."""
    if not any(setting.key.startswith("probe.data.") for setting in settings):
        return settings
    same = [s for s in settings if s.key.startswith("data.") and s.key != "data.limit"]
    copies = [
        Setting(
            key=f"probe.{s.key}", value=s.value, why="as in [data], so that splits are the same"
        )
        for s in same
    ]
    return [*settings, *copies]


def _tables(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """Return the settings by their table, in the order of first use."""
    tables: dict[str, list[Setting]] = {}
    for setting in settings:
        table = setting.key.removesuffix(f".{_last(setting.key)}")
        tables.setdefault(table, []).append(setting)
    return tables


def _last(key: str) -> str:
    """Return the key in its table; a name in quotes holds dots."""
    if key.endswith('"'):
        return key[key.index('"') :]
    return key.rpartition(".")[2]


def _comments(sentences: Sequence[str]) -> list[str]:
    return [f"# {line}" for sentence in sentences for line in textwrap.wrap(sentence, WIDTH - 2)]


def _toml(value: Any) -> str:
    """Return a value as TOML; a list of tables has a line for each."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_toml(one)}" for name, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        return "\n".join(["[", *(f"    {_toml(one)}," for one in value), "]"])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return json.dumps(name) if "." in name else name
